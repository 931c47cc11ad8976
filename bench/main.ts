/** `npm run bench -- SCENARIO`: answers one question about performance, beside peers in the same run, with an audit after it. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { backlog } from './scenarios/backlog.js';
import { cpu } from './scenarios/cpu.js';
import { drain } from './scenarios/drain.js';
import { enqueue } from './scenarios/enqueue.js';
import { limits } from './scenarios/limits.js';
import { metrics } from './scenarios/metrics.js';
import { shortBehindLong } from './scenarios/short-behind-long.js';
import { stall } from './scenarios/stall.js';
import { describeMachine } from './support/machine.js';
import { printReports } from './support/print.js';
import { type BenchRedis, startRedis } from './support/redis-server.js';
import type { Report } from './support/report.js';

interface Flags {
  readonly quick?: boolean;
  readonly json?: boolean;
  readonly tasks?: number;
  readonly rounds?: number;
  readonly scenario?: 'enqueue' | 'drain';
}

const program = new Command('bench').description('Measures docket beside its peers. Exits with 1 when an audit fails.');

const ROUNDS = new Option('--rounds <n>', 'number of rounds; each runs every contender once').argParser(count);

command('throughput', 'enqueue and drain no-op tasks, beside BullMQ and a raw Redis loop')
  .addOption(ROUNDS)
  .option('--tasks <n>', 'tasks in a run of the fastest contender', count)
  .addOption(new Option('--scenario <name>', 'run only one of the two').choices(['enqueue', 'drain']))
  .action((flags: Flags) =>
    run(flags, async (redis) => {
      const { quick, scenario, tasks, rounds = quick ? 1 : 3 } = flags;
      const reports: Report[] = [];
      if (scenario !== 'drain') {
        reports.push(await enqueue(redis, { rounds, tasks: tasks ?? (quick ? 40_000 : 100_000) }));
      }
      if (scenario !== 'enqueue') {
        const audited = quick ? 2_000 : 10_000;
        reports.push(await drain(redis, { rounds, audited, tasks: tasks ?? (quick ? 80_000 : 400_000) }));
      }
      return reports;
    }),
  );

command('cpu', 'CPU-bound tasks of 100 ms on all cores, beside plain piscina')
  .addOption(ROUNDS)
  .option('--tasks <n>', 'tasks for each thread in a run', count)
  .action((flags: Flags) =>
    run(flags, async (redis) => {
      const { quick, rounds = quick ? 1 : 5, tasks: tasksPerThread = quick ? 10 : 30 } = flags;
      return [await cpu(redis, { rounds, tasksPerThread })];
    }),
  );

command('limits', 'the cost of limits that never make a task wait, in CPU time of Redis and the coordinator')
  .addOption(ROUNDS)
  .option('--tasks <n>', 'tasks in a run', count)
  .action((flags: Flags) =>
    run(flags, async (redis) => {
      const { quick, rounds = quick ? 1 : 5, tasks = quick ? 40_000 : 150_000 } = flags;
      return [await limits(redis, { rounds, tasks })];
    }),
  );

command('metrics', 'the cost of counting and scraping, in CPU time of the coordinator')
  .addOption(ROUNDS)
  .option('--tasks <n>', 'tasks in a run', count)
  .action((flags: Flags) =>
    run(flags, async (redis) => {
      const { quick, rounds = quick ? 1 : 7, tasks = quick ? 40_000 : 300_000 } = flags;
      return [await metrics(redis, { rounds, tasks })];
    }),
  );

command('stall', 'spin on every thread for six leases, while another worker waits to take the work').action(
  (flags: Flags) =>
    run(flags, async (redis) => {
      const times = flags.quick ? { leaseMs: 1_000, spinMs: 4_000 } : { leaseMs: 5_000, spinMs: 30_000 };
      return [await stall(redis, times)];
    }),
);

command('backlog', 'drain a backlog of a million, queued or scheduled, beside one of a tenth')
  .addOption(ROUNDS)
  .option('--tasks <n>', 'tasks in the long backlog', count)
  .action((flags: Flags) =>
    run(flags, async (redis) => {
      const { quick, rounds = quick ? 1 : 3, tasks = quick ? 60_000 : 1_000_000 } = flags;
      return [await backlog(redis, { rounds, tasks })];
    }),
  );

command('short-behind-long', 'how long short tasks wait among long ones, beside BullMQ')
  .addOption(ROUNDS)
  .action((flags: Flags) =>
    run(flags, async (redis) => {
      const { quick, rounds = quick ? 1 : 3 } = flags;
      const times = quick ? { seconds: 5, longMs: 100 } : { seconds: 60, longMs: 1_000 };
      return [await shortBehindLong(redis, { rounds, ...times })];
    }),
  );

await program.parseAsync();

function command(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('--quick', 'smaller and fewer runs: shows that everything works, with rough figures')
    .option('--json', 'print one JSON document on stdout');
}

async function run(flags: Flags, scenarios: (redis: BenchRedis) => Promise<Report[]>): Promise<void> {
  process.once('SIGINT', () => process.exit(130)); // the exit removes the server and its folder
  try {
    await using redis = await startRedis();
    process.env.BENCH_REDIS_PATH = redis.path; // for the tasks that count their executions
    const machine = describeMachine(/redis_version:(\S+)/.exec(await redis.admin.info('server'))?.[1] ?? 'unknown');
    const reports = await scenarios(redis);
    if (flags.json) console.log(JSON.stringify({ machine, reports }, null, 2));
    else printReports(reports, machine);
    if (reports.some(({ problems }) => problems.length > 0)) process.exitCode = 1;
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    process.exit(1); // peers that still run end with this process
  }
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('expected a whole number of at least 1');
  return value;
}
