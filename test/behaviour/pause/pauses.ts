/** What tests of pauses ask of Redis, and how they wait for workers. */
import type { Call } from 'docket';
import type { Redis } from 'ioredis';
import { STREAM_NAMES } from '../../support/built.js';
import type { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait.js';

/** A docket's own view of Redis, as a stage or a fleet has it. */
export interface Place {
  redis: Redis;
  key(suffix: string): string;
}

export async function placeOf(stage: Stage): Promise<Place> {
  return { redis: await stage.redis(), key: (suffix) => stage.key(suffix) };
}

/**
 * Calls that end at once, so many that a worker expects the next ones to be short, too, and reads ahead: also when the
 * first of them took long, because the machine was busy.
 */
export function shortOnes(one: Call<unknown>): Call<unknown>[] {
  return Array(100).fill(one);
}

/** How many executions wait in the line of a paused task. */
export async function inLine({ redis, key }: Place, task: string): Promise<number> {
  return await redis.zcard(key(`limit:#${task}`));
}

export async function untilInLine(place: Place, task: string, count: number): Promise<void> {
  await waitFor(async () => (await inLine(place, task)) === count);
}

/** Entries on all streams that workers have. */
export async function inHand({ redis, key }: Place): Promise<number> {
  const counts = STREAM_NAMES.map(async (stream) => {
    const [pending] = (await redis.xpending(key(stream), 'workers').catch(() => [0])) as [number];
    return pending;
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** Entries on all streams. */
export async function onStreams({ redis, key }: Place): Promise<number> {
  const lengths = await Promise.all(STREAM_NAMES.map((stream) => redis.xlen(key(stream))));
  return lengths.reduce((sum, length) => sum + length, 0);
}

/** Waits until so many entries are on the streams, and no worker has any of them. */
export async function untilGivenBack(place: Place, count: number): Promise<void> {
  await waitFor(async () => (await onStreams(place)) === count && (await inHand(place)) === 0);
}

/** Waits until nothing is left of lines, limits and pauses. */
export async function untilNothingIsLeft({ redis, key }: Place): Promise<void> {
  await waitFor(async () => {
    const names = ['limit:*', 'parked:*', 'slots', 'held', 'waiting', 'wakes', 'paused'];
    const found = await Promise.all(names.map((suffix) => redis.keys(key(suffix))));
    return found.flat().length === 0;
  });
}
