/**
 * Finds executions that a change of the partitions must not meet: those that were given keys and have not ended, since
 * their keys could lead elsewhere, and those that are between the steps of a move.
 */
import type { Redis } from 'ioredis';
import { timeOfId } from '../core/ids.js';
import { type ExecutionState, isTerminal } from '../core/states.js';
import type { Keys } from './keys.js';
import { LETTER, LIGHT_BATCH_ITEMS, RECORD, STREAM_NAMES } from './schema.js';
import { runScript } from './script.js';

/**
 * Looks through a partition, in bounded steps, for the key of an execution that has not ended. Returns `null` when there is
 * none. Leaves out the chains of automatic tasks: workers move these to where they belong.
 *
 * Executions move from limits and the schedule to the streams, so the streams come last.
 * @param onStep - called between two steps
 */
export async function findKeyed(redis: Redis, keys: Keys, onStep: () => Promise<void>): Promise<string | null> {
  for await (const page of pagesOf(redis, keys)) {
    const given = page.filter((key) => timeOfId(key) === null);
    const automatic = given.length > 0 ? await redis.hmget(keys.automatic, ...given) : [];
    const found = given.find((_, i) => automatic[i] === null);
    if (found !== undefined) return found;
    await onStep();
  }
  return null;
}

/**
 * Looks through a partition, in bounded steps, for an execution that may have arrived in another partition and is still
 * here. If its partition changed now, it would be moved to a third one, and run twice. Returns its key or id; `null`
 * when there is none.
 * @param onStep - called between two steps
 */
export async function findDeparting(redis: Redis, keys: Keys, onStep: () => Promise<void>): Promise<string | null> {
  for await (const departures of scan((cursor) => redis.zscan(keys.departures, cursor, 'COUNT', LIGHT_BATCH_ITEMS))) {
    const found = await Promise.all(departures.map((departure) => keyOfDeparture(redis, keys, departure)));
    const key = found.find((one) => one !== null);
    if (key !== undefined) return key!;
    await onStep();
  }
  return null;
}

/** Returns the key or id of a departure; `null` when it is over, because the execution was cancelled, cleared or replaced. */
async function keyOfDeparture(redis: Redis, keys: Keys, departure: string): Promise<string | null> {
  const [, generation, key] = /^\d+ (\d*) (.*)$/s.exec(departure) ?? [];
  if (key === undefined) return null;
  if (generation === '') return key; // without a record
  const [state, there, departing] = await redis.hmget(
    keys.record(key),
    RECORD.state,
    RECORD.generation,
    RECORD.departing,
  );
  const isUnderWay = state && !isTerminal(state as ExecutionState) && there === generation && departing;
  return isUnderWay ? key : null;
}

async function* pagesOf(redis: Redis, keys: Keys): AsyncGenerator<readonly string[], void, void> {
  for await (const names of scan((cursor) => redis.hscan(keys.waiting, cursor, 'COUNT', LIGHT_BATCH_ITEMS))) {
    for (const name of names) yield* membersOf(redis, keys.limit(name));
  }
  yield* membersOf(redis, keys.schedule);
  for (const name of STREAM_NAMES) {
    for (let last: string | null = '-'; last !== null; ) {
      const args: readonly [string, number] = [last, LIGHT_BATCH_ITEMS];
      const [next, found] = (await runScript(redis, 'find-keyed', [keys[name]], args)) as [Buffer, Buffer[]];
      yield found.map(String);
      last = next.length > 0 ? `(${next}` : null;
    }
  }
}

/** Yields the keys among the members of a sorted set. */
async function* membersOf(redis: Redis, set: string): AsyncGenerator<readonly string[], void, void> {
  for await (const members of scan((cursor) => redis.zscan(set, cursor, 'COUNT', LIGHT_BATCH_ITEMS))) {
    yield members
      .filter((member) => member.startsWith(LETTER.recorded))
      .map((member) => member.slice(LETTER.recorded.length));
  }
}

/** Yields the names in the pages of an HSCAN or a ZSCAN. */
async function* scan(
  read: (cursor: string) => Promise<[cursor: string, pairs: string[]]>,
): AsyncGenerator<readonly string[], void, void> {
  let cursor = '0';
  do {
    const [next, pairs] = await read(cursor);
    yield pairs.filter((_, i) => i % 2 === 0);
    cursor = next;
  } while (cursor !== '0');
}
