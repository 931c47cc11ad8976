/**
 * `npm run bench -- [SCENARIO...]`: answers questions about performance, beside peers in the same run, with an audit after
 * it. Exits with 1 when an audit fails, and when `--compare` finds a regression.
 */
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { SCENARIOS } from './registry.js';
import { printMachine, printReport, status } from './support/print.js';
import { startRedis } from './support/redis-server.js';
import { type Result, runScenario } from './support/result.js';
import { type Scenario, sizesOf } from './support/scenario.js';

interface Flags {
  readonly quick?: boolean;
  readonly json?: boolean;
}

const program = new Command('bench')
  .description('Measures docket beside its peers. Exits with 1 when an audit fails.')
  .addArgument(
    new Argument('[scenario...]', 'what to measure; everything, if none is named').choices(namesOf(SCENARIOS)),
  )
  .option('--quick', 'smaller and fewer runs, and without a name only the scenarios that gate a change')
  .option('--json', 'print one JSON document on stdout')
  .addHelpText(
    'after',
    `\nScenarios:\n${SCENARIOS.map(({ name, question }) => `  ${name.padEnd(18)}${question}`).join('\n')}`,
  )
  .action((names: string[], flags: Flags) => run(choose(names, flags), flags));
for (const option of sizeOptions()) program.addOption(option);

process.once('SIGINT', () => process.exit(130)); // the exit removes the server and its folder
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
  const chosen = chosenSizes(scenarios);
  const results: Result[] = [];
  for (const [index, scenario] of scenarios.entries()) {
    status(`${index + 1} of ${scenarios.length}: ${scenario.name}. ${scenario.question}`);
    await using redis = await startRedis();
    const result = await runScenario(scenario, redis, sizesOf(scenario, { isQuick: flags.quick === true, chosen }));
    results.push(result);
    if (!flags.json) printReport(result.report);
  }
  if (flags.json) console.log(JSON.stringify({ results }, null, 2));
  else printMachine(results[0]!.machine);
  if (results.some(({ report }) => report.problems.length > 0)) process.exitCode = 1;
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
