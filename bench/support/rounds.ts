/** Runs the contenders side by side, each once in every round, and summarizes their rounds. */
import type { CostPerTask } from './cost.js';
import { status } from './print.js';
import type { Row } from './report.js';
import { spread } from './stats.js';

/** One timed run of one contender. */
export interface Run {
  readonly perSecond: number;
  readonly cost: CostPerTask;
  readonly problems: readonly string[];
}

/** The share of the tasks at the start of each run that is not measured: compilation, first connections, cold caches. */
export const WARM_UP = 0.1;

/**
 * Lets the contenders take turns, so that whatever else the machine does affects all of them alike. Each round begins with
 * another contender, so that none always runs after the same one.
 */
export async function interleave<Contender extends { readonly name: string }, Result>(
  scenario: string,
  contenders: readonly Contender[],
  rounds: number,
  run: (contender: Contender) => Promise<Result>,
): Promise<Map<string, Result[]>> {
  const results = new Map<string, Result[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(round + turn) % contenders.length]!;
      status(`${scenario}, round ${round + 1} of ${rounds}: ${contender.name}`);
      results.get(contender.name)!.push(await run(contender));
    }
  }
  status('');
  return results;
}

/** Makes the table row of a contender: its rate with the extremes, and the cost of a task, as medians of the rounds. */
export function summarize(name: string, tasks: number, runs: readonly Run[]): Row {
  const rate = spread(runs.map((run) => run.perSecond));
  const median = (of: keyof CostPerTask) => {
    const values = runs.map((run) => run.cost[of]).filter((value) => value !== null);
    return values.length === 0 ? null : spread(values).median;
  };
  return {
    contender: name,
    tasks,
    'tasks/s': rate.median,
    min: rate.min,
    max: rate.max,
    'Redis us/task': median('redisCpuUs'),
    'commands/task': median('commands'),
    'round trips/task': median('trips'),
    'process us/task': median('processCpuUs'),
    'main thread us/task': median('mainThreadCpuUs'),
  };
}

/** Returns the rates of a contender, in the order of the rounds. */
export function rates(results: ReadonlyMap<string, readonly Run[]>, name: string): number[] {
  return results.get(name)!.map((run) => run.perSecond);
}

/** Returns the problems of all runs, each with the name of its contender. */
export function problemsOf(
  results: ReadonlyMap<string, readonly { readonly problems: readonly string[] }[]>,
): string[] {
  return [...results].flatMap(([name, runs]) =>
    runs.flatMap((run) => run.problems.map((problem) => `${name}: ${problem}`)),
  );
}
