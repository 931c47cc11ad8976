/**
 * `npm run chaos -- --minutes 2 --seed 1`: runs workers under faults that follow from the seed, and audits what they did. Exits with
 * 1 when a promise was broken.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import { audit } from './auditor.js';
import { TOPOLOGIES, type Topology } from './fault.js';
import { ALL_FAULTS } from './faults/all.js';
import { planFaults } from './profile.js';
import { printAudit, printFigures } from './report.js';
import { run } from './run.js';
import { WORKERS } from './world.js';

interface Flags {
  readonly minutes: number;
  readonly seed: number;
  readonly topology: Topology;
  readonly rate: number;
  readonly fault?: string;
  readonly only?: readonly number[];
}

const program = new Command('chaos')
  .description('Runs workers under faults and audits what they did. Exits with 1 when a promise was broken.')
  .option('--minutes <n>', 'for how long work is added', positive, 2)
  .option('--seed <n>', 'what the faults follow from', whole, Math.floor(Math.random() * 1_000_000))
  .addOption(new Option('--topology <name>', 'where the servers are').choices(TOPOLOGIES).default('single'))
  .option('--rate <n>', 'executions that are added each second', positive, 60)
  .addOption(new Option('--fault <family>', 'only faults of this family').choices(families()))
  .option('--only <numbers>', 'only these faults of the plan, as a failed run prints them', numbers)
  .action(main);

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => process.exit(code)); // servers and workers end with this process
await program.parseAsync();

async function main({ minutes, seed, topology, rate, fault, only }: Flags): Promise<void> {
  const durationMs = minutes * 60_000;
  const whole = planFaults({ seed, topology, durationMs, workers: WORKERS, faults: ALL_FAULTS, family: fault });
  const plan = only === undefined ? whole : whole.filter(({ number }) => only.includes(number));
  console.log(`seed ${seed}, ${topology}, ${minutes} min, ${plan.length} faults`);
  const { history, logs } = await run({ seed, topology, plan, durationMs, addsPerSecond: rate, say: console.log });
  const audited = audit(history);
  printFigures(history, audited);
  printAudit(audited, logs);
  process.exitCode = audited.violations.length === 0 ? 0 : 1;
}

function families(): string[] {
  const order = (family: string) => Number(family.slice(1));
  return [...new Set(ALL_FAULTS.map(({ family }) => family))].sort((a, b) => order(a) - order(b));
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
