/**
 * `npm run chaos -- --minutes 2 --seed 1`: runs workers under faults that follow from the seed, and audits what they
 * did. When a promise was broken, it looks for the faults that this needs, in runs with fewer of them, and exits with 1.
 */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Rule } from './audit/rules.js';
import { type Audit, audit } from './auditor.js';
import { emptyBecause, listOf } from './catalogue.js';
import { ALL_FAULTS } from './faults/all.js';
import { SHAPES, type Shape } from './history.js';
import { type PlannedFault, planFaults } from './profile.js';
import { printAudit, printFigures, slowRecoveries } from './report.js';
import { type Ran, run } from './run.js';
import { shrink } from './shrink.js';
import { TOPOLOGIES, type Topology } from './topology.js';
import { WORKERS } from './world.js';

interface Flags {
  readonly minutes: number;
  readonly seed: number;
  readonly topology: Topology;
  readonly rate: number;
  readonly body: number;
  readonly shape?: Shape;
  readonly fault?: string;
  readonly only?: readonly number[];
  readonly recoversWithin?: number;
  readonly shrinkRuns: number;
  readonly list: boolean;
}

/** How long work is added after the last fault in a run of a part of the plan. */
const AFTER_LAST_FAULT_MS = 5_000;

/** The exit code of a command that cannot be run as it is. A broken promise has another one. */
const WRONG_USAGE = 2;

const program = new Command('chaos')
  .description('Runs workers under faults and audits what they did. Exits with 1 when a promise was broken.')
  .option('--minutes <n>', 'for how long work is added', positive, 2)
  .option('--seed <n>', 'what the faults follow from (default: a random one)', whole, randomSeed())
  .addOption(new Option('--topology <name>', 'where the servers are').choices(TOPOLOGIES).default('single'))
  .option('--rate <n>', 'executions that are added each second', positive, 60)
  .option('--body <ms>', 'how long a body takes at most', whole, 120)
  .addOption(new Option('--shape <name>', 'add only executions of this shape').choices(SHAPES))
  .option('--fault <name>', 'only faults of this family, such as F5, or the fault with this name', knownFault)
  .option('--only <numbers>', 'only these faults of the plan, as a failed run prints them', numbers)
  .option(
    '--recovers-within <seconds>',
    'fail when nothing is acknowledged or ends for longer during a fault',
    positive,
  )
  .option('--shrink-runs <n>', 'how many runs may look for the faults that a failure needs', whole, 6)
  .option('--list', 'print the faults, and where each can be made', false)
  .action(main);

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => process.exit(code)); // servers and workers end with this process
await program.parseAsync();

async function main(flags: Flags): Promise<void> {
  if (flags.list) return console.log(listOf(ALL_FAULTS).join('\n'));
  const { seed, topology, minutes, fault, only } = flags;
  const durationMs = minutes * 60_000;
  const options = { seed, topology, durationMs, workers: WORKERS, faults: ALL_FAULTS, chosen: fault };
  const whole = planFaults(options);
  const refusal = emptyBecause(whole, options);
  if (refusal !== null) program.error(refusal, { exitCode: WRONG_USAGE });
  const plan = only === undefined ? whole : whole.filter(({ number }) => only.includes(number));
  console.log(`seed ${seed}, ${topology}, ${minutes} min, ${plan.length} faults`);
  const [ran, audited] = await runAndAudit(flags, plan, durationMs);
  printFigures(ran.history, audited);
  printAudit(audited, ran.logs);
  if (audited.violations.length === 0) return;
  process.exitCode = 1;
  const file = join(tmpdir(), `docket-chaos-${topology}-${seed}.json`);
  writeFileSync(file, JSON.stringify({ ...audited, ...ran }));
  console.log(`\nthe whole history is in ${file}`);
  await printShrunk(flags, plan, new Set(audited.violations.map(({ rule }) => rule)));
}

async function runAndAudit(
  { seed, topology, rate, body, shape, recoversWithin }: Flags,
  plan: readonly PlannedFault[],
  durationMs: number,
): Promise<[Ran, Audit]> {
  const say = (line: string) => console.log(`${new Date().toISOString().slice(11, 23)} ${line}`);
  const ran = await run({ seed, topology, plan, durationMs, addsPerSecond: rate, bodyMs: body, shape, say });
  const { violations, duplicates } = audit(ran.history);
  const slow = recoversWithin === undefined ? [] : slowRecoveries(ran.history, recoversWithin * 1_000);
  return [ran, { violations: [...violations, ...slow], duplicates }];
}

/** Looks for a smaller plan that breaks one of the same promises, and prints how to run it. */
async function printShrunk(flags: Flags, plan: readonly PlannedFault[], broken: ReadonlySet<Rule>): Promise<void> {
  const { seed, minutes, topology, fault, shrinkRuns } = flags;
  const smallest = await shrink({
    plan,
    runs: shrinkRuns,
    fails: async (part) => {
      const durationMs = Math.max(...part.map(({ atMs, lastsMs }) => atMs + lastsMs)) + AFTER_LAST_FAULT_MS;
      console.log(`\ntrying faults ${part.map(({ number }) => number).join(',')} alone`);
      const [, { violations }] = await runAndAudit(flags, part, durationMs);
      const isSame = violations.some(({ rule }) => broken.has(rule));
      console.log(isSame ? 'it fails, too' : 'it passes');
      return isSame;
    },
  });
  console.log('\nthe fewest faults that were seen to fail:');
  for (const { number, family, name, atMs, lastsMs, worker } of smallest) {
    const where = worker === null ? '' : `, worker ${worker}`;
    console.log(`  ${number}: ${family} ${name}, after ${atMs} ms for ${lastsMs} ms${where}`);
  }
  const chosen = fault === undefined ? '' : ` --fault '${fault}'`;
  const only = smallest.map(({ number }) => number).join(',');
  console.log(
    `\nnpm run chaos -- --minutes ${minutes} --seed ${seed} --topology ${topology}${chosen} --only ${only || '0'}`,
  );
}

function randomSeed(): number {
  return Math.floor(Math.random() * 1_000_000);
}

function knownFault(text: string): string {
  if (ALL_FAULTS.some(({ family, name }) => family === text || name === text)) return text;
  throw new InvalidArgumentError('there is no such fault: --list prints them');
}

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new InvalidArgumentError('it must be a positive number');
  return number;
}

function whole(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('it must be a whole number');
  return Number(text);
}

function numbers(text: string): number[] {
  return text.split(',').map(whole);
}
