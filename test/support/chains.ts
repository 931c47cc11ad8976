/** What tests of perpetual tasks, of cancelling and replacing ask: what ran, what is left, and when it is due. */

import type { Docket, Execution, Schedule, SchedulesOptions } from 'docket';
import { onTestFinished } from 'vitest';
import { STREAM_NAMES } from './built.js';
import { type Fleet, fixture, type Tasks } from './fleet.js';
import { waitFor } from './wait.js';

/** The tasks of `fixtures/worker/chains.js`; with an export's name those of that export. */
export const CHAINS = fixture('chains.js');

/** One attempt, as its body recorded it. */
export interface Run {
  readonly key: string;
  readonly dueMs: number;
  readonly attempt: number;
  readonly worker: string;
  readonly value: string;
}

/** What ran, of one key or of all, in the order in which it recorded itself. */
export async function runsOf(fleet: Fleet, key?: string): Promise<Run[]> {
  const steps = (await fleet.steps()).map((step) => step.split(' ')).filter(([kind]) => kind === 'ran');
  const runs = steps.map(([, of, due, attempt, worker, value]) => {
    return { key: of!, dueMs: Number(due), attempt: Number(attempt), worker: worker!, value: value! };
  });
  return key === undefined ? runs : runs.filter((run) => run.key === key);
}

/** Waits until the key ran so often, and answers with its runs. */
export async function ran(fleet: Fleet, { key }: { readonly key: string }, times = 1): Promise<Run[]> {
  let runs: Run[] = [];
  const hasRun = async () => {
    runs = await runsOf(fleet, key);
    return runs.length >= times;
  };
  await waitFor(hasRun);
  return runs;
}

/** Executions of the docket that are not over, in one look: scheduled, queued or running. */
export async function left(fleet: Fleet): Promise<number> {
  const { redis, key } = fleet;
  const asked = redis.multi().zcard(key('schedule'));
  for (const stream of STREAM_NAMES) asked.xlen(key(stream));
  const counts = await asked.exec();
  return counts!.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Looks again and again whether exactly `count` are left, until it is told to stop; then fails if it was ever otherwise. */
export function watchLeft(fleet: Fleet, count: number): () => Promise<void> {
  const seen = new Set<number>();
  let isStopped = false;
  const watching = (async () => {
    while (!isStopped) {
      seen.add(await left(fleet));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  const stop = async () => {
    isStopped = true;
    await watching;
  };
  onTestFinished(stop);
  return async () => {
    await stop();
    if (seen.size !== 1 || !seen.has(count)) throw new Error(`expected ${count} left, saw ${[...seen].join(', ')}`);
  };
}

/** When the execution is due if it is scheduled, else `null`. */
export async function pendingMs(fleet: Fleet, { key }: { readonly key: string }): Promise<number | null> {
  const [keyed, lean] = await fleet.redis.zmscore(fleet.key('schedule'), `k${key}`, `l${key}`);
  return (keyed ?? lean) ? Number(keyed ?? lean) : null;
}

/** Waits until it is scheduled; answers with when it is due. */
export async function scheduled(fleet: Fleet, execution: { readonly key: string }): Promise<number> {
  return (await waitFor(() => pendingMs(fleet, execution)))!;
}

/** An execution that was added, and whether state is kept of it. */
export interface Added extends Execution<unknown> {
  readonly keeps: boolean;
}

type Options = Parameters<Docket<Tasks>['add']>[2];

/**
 * Adds the task in all ways in which executions are kept: with and without a key, with and without state. All are of the
 * same docket, so that one test is about all of them.
 */
export async function addEachWay(
  fleet: Fleet,
  task: string,
  args: object = {},
  options: Options = {},
): Promise<Added[]> {
  const lean = fleet.with({ executionTtl: 0 });
  const ways = [
    { docket: fleet.docket, key: { key: 'kept' }, keeps: true },
    { docket: fleet.docket, key: {}, keeps: true },
    { docket: lean, key: { key: 'lean' }, keeps: false },
    { docket: lean, key: {}, keeps: false },
  ];
  const added = ways.map(async ({ docket, key, keeps }) => {
    const execution = await docket.add(task, { probe: fleet.probe, ...args }, { ...options, ...key });
    return Object.defineProperty(execution, 'keeps', { value: keeps }) as Added;
  });
  return await Promise.all(added);
}

/** Ends chains and waits until nothing is left of them. */
export async function endAll(fleet: Fleet, executions: readonly { readonly key: string }[]): Promise<void> {
  for (const { key } of executions) await fleet.docket.cancel(key);
  await waitFor(async () => (await left(fleet)) === 0);
}

/** All schedules of a docket. */
export async function schedulesOf(
  docket: { schedules(options?: SchedulesOptions): AsyncIterable<Schedule> },
  options: SchedulesOptions = {},
): Promise<Schedule[]> {
  const schedules: Schedule[] = [];
  for await (const schedule of docket.schedules(options)) schedules.push(schedule);
  return schedules;
}
