/**
 * What does each part on the way of an execution cost by itself? tinybench calls each part over and over, after a warm-up.
 * The median is shown, because a mean has the collector's pauses in it. For the scripts, the server counts the commands that
 * they execute.
 */
import { Bench } from 'tinybench';
import { COORDINATOR } from '../micro/coordinator.js';
import type { Micro } from '../micro/micro.js';
import { scripts } from '../micro/scripts.js';
import { WIRE } from '../micro/wire.js';
import { status } from '../support/print.js';
import type { BenchRedis } from '../support/redis-server.js';
import type { Report, Row } from '../support/report.js';

export interface MicroOptions {
  /** How long each part is measured, in milliseconds. A fifth of that is the warm-up. */
  readonly ms: number;
}

export async function micro(redis: BenchRedis, { ms }: MicroOptions): Promise<Report> {
  const problems: string[] = [];
  const inScripts = scripts(redis.admin);
  const rows = [
    ...(await measure([...WIRE, ...COORDINATOR], ms, problems)),
    ...(await measure(inScripts, ms, problems)),
  ];
  const calls = await countCalls(redis, inScripts);
  return {
    scenario: 'micro',
    tables: [
      {
        title: 'micro: parts on the way of an execution, by themselves',
        rows: rows.map((row) => ({ ...row, 'Redis calls/item': calls.get(String(row.part)) ?? null })),
        notes: ['scripts: the round trip included; Redis calls: those inside the script'],
        costs: { columns: ['Redis calls/item'], rows: inScripts.map(({ name }) => name) },
      },
    ],
    verdicts: [],
    problems,
  };
}

async function measure(micros: readonly Micro[], ms: number, problems: string[]): Promise<Row[]> {
  const bench = new Bench({ time: ms, warmupTime: ms / 5, iterations: 10, warmupIterations: 5 });
  for (const { name, prepare, run } of micros) {
    const isAsync = run.constructor.name === 'AsyncFunction' || prepare !== undefined;
    const hook = prepare ? { beforeEach: async () => void (await prepare()) } : {};
    bench.add(name, isAsync ? async () => void (await run()) : () => void run(), { async: isAsync, ...hook });
  }
  bench.addEventListener('cycle', ({ task }) => status(`micro: ${task?.name}`));
  await bench.run();
  status('');
  return micros.map(({ name, items }) => {
    const { result } = bench.getTask(name)!;
    if (result.state !== 'completed') {
      problems.push(`${name}: ${result.state}${'error' in result ? `, ${result.error}` : ''}`);
      return { part: name };
    }
    const { p50, p99, samplesCount } = result.latency;
    const perItem = (value: number) => (value * 1e6) / items;
    return { part: name, 'ns/item': perItem(p50), 'p99 ns/item': perItem(p99), calls: samplesCount };
  });
}

/** Counts what one call of each makes Redis execute inside of it. */
async function countCalls({ admin }: BenchRedis, micros: readonly Micro[]): Promise<Map<string, number>> {
  const calls = new Map<string, number>();
  for (const { name, items, prepare, run } of micros) {
    await prepare?.();
    await admin.config('RESETSTAT');
    await run();
    const executed = [...(await admin.info('commandstats')).matchAll(/cmdstat_([^:]+):calls=(\d+)/g)];
    const inside = executed.filter(([, command]) => !/^(evalsha|eval|config\|resetstat)$/.test(command!));
    calls.set(name, inside.reduce((sum, [, , count]) => sum + Number(count), 0) / items);
  }
  return calls;
}
