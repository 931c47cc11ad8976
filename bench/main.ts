/**
 * `npm run bench -- [SCENARIO...]`: answers questions about performance, beside peers in the same run, with an audit after
 * it. Exits with 1 when an audit fails, and when `--compare` finds a regression.
 */
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { SCENARIOS } from './registry.js';
import { acceptFigures, type Baseline, compareFigures, readBaseline, writeBaseline } from './support/figures.js';
import { printMachine, printReport, status } from './support/print.js';
import { startRedis } from './support/redis-server.js';
import { type Result, runScenario } from './support/result.js';
import { saveRuns } from './support/results.js';
import { type Scenario, sizesOf } from './support/scenario.js';

interface Flags {
  readonly quick?: boolean;
  readonly json?: boolean;
  readonly runs: number;
  readonly compare?: string;
  readonly accept?: string;
  readonly save?: string;
}

const program = new Command('bench')
  .description('Measures docket beside its peers. Exits with 1 when an audit fails.')
  .addArgument(
    new Argument('[scenario...]', 'what to measure; everything, if none is named').choices(namesOf(SCENARIOS)),
  )
  .option('--quick', 'smaller and fewer runs, and without a name only the scenarios that gate a change')
  .option('--json', 'print one JSON document on stdout')
  .option('--runs <n>', 'how often everything is run', count, 1)
  .option('--compare <file>', 'fail when a figure is worse than in this baseline')
  .option('--accept <file>', 'write the figures into this baseline')
  .option('--save <folder>', 'write the results and their plots into this folder')
  .addHelpText(
    'after',
    `\nScenarios:\n${SCENARIOS.map(({ name, question }) => `  ${name.padEnd(18)}${question}`).join('\n')}`,
  )
  .action((names: string[], flags: Flags) => run(choose(names, flags), flags));
for (const option of sizeOptions()) program.addOption(option);

// Node ends at a signal without a handler before anything is tidied up; `exit` removes the servers and their folders.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  process.once(signal, () => process.exit(code));
try {
  await program.parseAsync();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exit(1); // peers that still run end with this process
}

function choose(names: readonly string[], { quick }: Flags): readonly Scenario[] {
  if (names.length > 0) return SCENARIOS.filter(({ name }) => names.includes(name));
  return quick ? SCENARIOS.filter(({ isGate }) => isGate) : SCENARIOS;
}

async function run(scenarios: readonly Scenario[], flags: Flags): Promise<void> {
  const sizes = chosenSizes(scenarios);
  // Before the runs, so that a wrong name fails at once.
  const baseline = flags.compare ? readBaseline(flags.compare) : undefined;
  const accepted = flags.accept && existsSync(flags.accept) ? readBaseline(flags.accept) : {};
  if (flags.accept) accessSync(dirname(flags.accept), constants.W_OK);
  if (flags.save) mkdirSync(flags.save, { recursive: true });
  const date = new Date().toISOString();
  const results: Result[] = [];
  for (let turn = 1; turn <= flags.runs; turn++) {
    for (const [index, scenario] of scenarios.entries()) {
      const ofRuns = flags.runs > 1 ? `run ${turn} of ${flags.runs}, ` : '';
      status(`${ofRuns}${index + 1} of ${scenarios.length}: ${scenario.name}. ${scenario.question}`);
      await using redis = await startRedis();
      const result = await runScenario(
        scenario,
        redis,
        sizesOf(scenario, { isQuick: flags.quick === true, chosen: sizes }),
      );
      results.push(result);
      if (!flags.json) printReport(result.report);
      if (flags.save)
        saveRuns(
          flags.save,
          results.filter(({ report }) => report.scenario === result.report.scenario),
        );
    }
  }
  const { machine } = results[0]!;
  if (flags.json) console.log(JSON.stringify({ date, machine, results }, null, 2));
  else printMachine(machine);
  judge(results, baseline, flags);
  if (flags.accept) {
    const reports = results.map(({ report }) => report);
    writeBaseline(flags.accept, acceptFigures(accepted, reports, kindOf(flags)));
  }
}

/** Sets the exit code, and says why on stderr, which is apart from the JSON. */
function judge(results: readonly Result[], baseline: Baseline | undefined, flags: Flags): void {
  const reports = results.map(({ report }) => report);
  const regressions = baseline ? compareFigures(baseline, reports, kindOf(flags)) : [];
  for (const regression of regressions) console.error(`WORSE: ${regression}`);
  if (regressions.length > 0 || reports.some(({ problems }) => problems.length > 0)) process.exitCode = 1;
}

function kindOf({ quick }: Flags): 'quick' | 'full' {
  return quick ? 'quick' : 'full';
}

/** Makes an option of each name that a size has in any scenario. */
function sizeOptions(): Option[] {
  const uses = new Map<string, string[]>();
  for (const { name: scenario, sizes } of SCENARIOS) {
    for (const [name, { meaning, full, quick }] of Object.entries(sizes)) {
      uses.set(name, [...(uses.get(name) ?? []), `${scenario}: ${meaning} (${full}, quick ${quick})`]);
    }
  }
  return [...uses].map(([name, lines]) => new Option(`--${kebab(name)} <n>`, lines.join('\n')).argParser(count));
}

/** Returns the sizes of the command line. Each must belong to one of the scenarios that are to run. */
function chosenSizes(scenarios: readonly Scenario[]): Readonly<Record<string, number>> {
  const known = new Set(SCENARIOS.flatMap(({ sizes }) => Object.keys(sizes)));
  const chosen = Object.entries(program.opts<Record<string, number>>()).filter(([name]) => known.has(name));
  for (const [name] of chosen) {
    if (!scenarios.some(({ sizes }) => name in sizes))
      throw new Error(`${namesOf(scenarios).join(', ')}: no such size as --${kebab(name)}`);
  }
  return Object.fromEntries(chosen);
}

function namesOf(scenarios: readonly Scenario[]): string[] {
  return scenarios.map(({ name }) => name);
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('expected a whole number of at least 1');
  return value;
}
