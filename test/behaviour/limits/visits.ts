/** What the tasks of `fixtures/worker/limits.js` tell of themselves, and what limits keep in Redis meanwhile. */

import type { AddOptions, AnyTask, Call, Execution } from 'docket';
import { type Fleet, fixture } from '../../support/fleet.js';
import { describeEachServer, isEveryVariant, labelled } from '../../support/suites.js';
import { PARTITION_COUNT } from '../../support/target.js';
import { waitFor } from '../../support/wait.js';

export const LIMITED = fixture('limits.js');

/**
 * With several partitions, the tasks themselves: what is added by name is moved to the partition of its limit, and has the order
 * in which it arrives there.
 */
const KNOWN: Readonly<Record<string, AnyTask>> = PARTITION_COUNT > 1 ? (await import(LIMITED)).tasks : {};

/** A start or an end, in the order in which the server heard of them. */
export interface Visit {
  readonly kind: 'start' | 'end';
  readonly subject: string;
  readonly key: string;
  readonly attempt: number;
}

export interface Way {
  readonly threads: number;
  readonly options: { readonly executionTtl: '15m' | 0 };
  readonly keepsState: boolean;
}

const STATE: Way['options'] = { executionTtl: '15m' };
const NO_STATE: Way['options'] = { executionTtl: 0 };

/**
 * Runs a suite with and without state; without it, what is added without a key has no record at all. Limits are kept by
 * scripts, which know of no thread, so that workers have none; with all variants each of both is run with and without.
 */
export function describeEachWay(name: string, suite: (url: () => string, way: Way) => void): void {
  const pairs = [0, 1].flatMap((threads) => [STATE, NO_STATE].map((options) => ({ threads, options })));
  describeWays(name, isEveryVariant ? pairs : pairs.slice(0, 2), suite);
}

/** Like `describeEachWay`, but on threads where there is no state: for the rules that all others build on. */
export function describeEachWayAndMode(name: string, suite: (url: () => string, way: Way) => void): void {
  if (isEveryVariant) return describeEachWay(name, suite);
  const ways = [
    { threads: 0, options: STATE },
    { threads: 1, options: NO_STATE },
  ];
  describeWays(name, ways, suite);
}

function describeWays(
  name: string,
  ways: readonly Pick<Way, 'threads' | 'options'>[],
  suite: (url: () => string, way: Way) => void,
): void {
  for (const { threads, options } of ways) {
    describeEachServer(labelled(name, `threads: ${threads}, executionTtl: ${options.executionTtl}`), (url) =>
      suite(url, { threads, options, keepsState: options.executionTtl !== 0 }),
    );
  }
}

/** One `add` of a batch, by the name of its task. */
export function callNamed(task: string, args: object, options: AddOptions = {}): Call<unknown> {
  return { task, args, options } as unknown as Call<unknown>;
}

/** Starts two workers with room for many executions each; on threads they have one each, which is quicker to start. */
export async function twoWorkers(fleet: Fleet, threads: number, threadsEach = Math.min(threads, 1)): Promise<void> {
  const options = { tasks: LIMITED, threads: threadsEach, concurrency: 40 };
  await Promise.all([fleet.worker(options), fleet.worker(options)]);
}

/** Adds executions one after the other, so that they stand in line as they are listed; answers with their keys. */
export async function addInOrder(fleet: Fleet, task: string, list: readonly object[]): Promise<string[]> {
  const keys: string[] = [];
  const added = (KNOWN[task] ?? task) as string;
  for (const args of list) keys.push((await fleet.docket.add(added, { probe: fleet.probe, ...args })).key);
  return keys;
}

/** Adds one that holds what it has until the test releases it, and waits for its start. */
export async function addHolder(fleet: Fleet, task: string, args: object = {}): Promise<Execution<unknown>> {
  const holder = await fleet.docket.add(task, { probe: fleet.probe, how: 'hold', ...args });
  await started(fleet, holder.key);
  return holder;
}

export async function visits(fleet: Fleet): Promise<Visit[]> {
  return (await fleet.steps()).map((step) => {
    const [kind, subject, key, attempt] = step.split(' ') as ['start' | 'end', string, string, string];
    return { kind, subject, key, attempt: Number(attempt) };
  });
}

/** Waits until so many attempts have ended; answers with all there was. */
export async function ended(fleet: Fleet, count: number, timeoutMs = 20_000): Promise<Visit[]> {
  const found = await waitFor(
    async () => {
      const all = await visits(fleet);
      return all.filter(({ kind }) => kind === 'end').length >= count ? all : null;
    },
    { timeoutMs },
  );
  return found!;
}

export async function started(fleet: Fleet, key: string): Promise<void> {
  await waitFor(async () => (await startsOf(fleet)).includes(key));
}

/** Keys in the order of their starts. */
export async function startsOf(fleet: Fleet): Promise<string[]> {
  return startsIn(await visits(fleet));
}

export function startsIn(all: readonly Visit[]): string[] {
  return all.filter(({ kind }) => kind === 'start').map(({ key }) => key);
}

/** How many were there at once at most, of each subject. A visit can be of several, separated by commas. */
export function peaksOf(all: readonly Visit[]): Record<string, number> {
  const running = new Map<string, number>();
  const peaks: Record<string, number> = {};
  for (const { kind, subject } of all) {
    for (const one of subject.split(',')) {
      const count = (running.get(one) ?? 0) + (kind === 'start' ? 1 : -1);
      running.set(one, count);
      peaks[one] = Math.max(peaks[one] ?? 0, count);
    }
  }
  return peaks;
}

/** How many wait for permits, in the whole docket. */
export async function waiting({ redis, key }: Fleet): Promise<number> {
  const counts = (await redis.keys(key('limit:*'))).map((limit) => redis.zcard(limit));
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** How many executions hold permits. */
export async function holding({ redis, key }: Fleet): Promise<number> {
  return await redis.hlen(key('slots'));
}

export async function untilWaiting(fleet: Fleet, count: number): Promise<void> {
  await waitFor(async () => (await waiting(fleet)) === count);
}

/** Waits until nothing is left of limits that were in use. What remembers a window goes with it. */
export async function untilNothingIsHeld({ redis, key }: Fleet): Promise<void> {
  await waitFor(async () => {
    const found = await Promise.all(
      ['limit:*', 'parked:*', 'slots', 'held', 'waiting', 'wakes', 'schedule'].map((suffix) => redis.keys(key(suffix))),
    );
    return found.flat().length === 0;
  });
  await waitFor(async () => (await redis.xlen(key('work'))) + (await redis.xlen(key('front'))) === 0);
}
