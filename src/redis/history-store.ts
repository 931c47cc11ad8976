/** The history of a docket: what its workers counted, minute by minute. Adds pages of counts, and reads minutes. */
import type { Redis } from 'ioredis';
import type { DurationCounts } from '../core/duration-counts.js';
import type { Keys } from './keys.js';
import { BATCH_ITEMS, HISTORY, TALLY } from './schema.js';
import { runScript, type ScriptArgument } from './script.js';
import { serverTimeMs } from './time.js';

export const MINUTE_MS = 60_000;

/** The maximum number of tasks of one page. Each takes the server up to 25 us (measured), more than other items of scripts. */
export const HISTORY_PAGE_TASKS = BATCH_ITEMS / 2;

/** Counts and times of the attempts of one task, or of all tasks, in some time. */
export interface TaskTally {
  readonly started: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly retried: number;
  /** How long after their due time the attempts began that have ended. */
  readonly waiting: DurationCounts;
  /** How long they took. */
  readonly duration: DurationCounts;
}

/** Some of a worker's counts. A page never changes, so that it can be sent again. */
export interface HistoryPage {
  /** Counted from 1, in the order of sending. */
  readonly number: number;
  /** The minute to which it belongs, as a number of server minutes. */
  readonly minute: number;
  /** Tallies by task; that of all tasks together has the name `HISTORY.all`. At most `HISTORY_PAGE_TASKS`. */
  readonly tallies: readonly (readonly [task: string, TaskTally])[];
}

/** Adds a page to the history, unless it was added before. Send the pages of a worker one after the other. */
export async function recordHistory(redis: Redis, keys: Keys, consumer: string, page: HistoryPage): Promise<void> {
  const args: ScriptArgument[] = [page.number];
  for (const [task, tally] of page.tallies) args.push(task, encoded(tally));
  await runScript(redis, 'record-history', [keys.history(String(page.minute)), keys.historyPage(consumer)], args);
}

function encoded({ started, succeeded, failed, retried, waiting, duration }: TaskTally): string {
  const members: Record<string, number> = {};
  const put = (name: string, count: number) => {
    if (count > 0) members[name] = count;
  };
  put(TALLY.started, started);
  put(TALLY.succeeded, succeeded);
  put(TALLY.failed, failed);
  put(TALLY.retried, retried);
  for (const [bucket, count] of waiting.buckets()) put(`${TALLY.waiting}${bucket}`, count);
  for (const [bucket, count] of duration.buckets()) put(`${TALLY.duration}${bucket}`, count);
  return JSON.stringify(members);
}

/** The stored counts of one task in one minute, or of all tasks. */
export type StoredTally = readonly [task: string, text: string];

/** One minute of the history, with the tallies that were asked for and that it has. */
export interface RecordedMinute {
  /** When it begins, in server milliseconds. */
  readonly atMs: number;
  readonly tallies: readonly StoredTally[];
}

/** Minutes that are read at once: of all tasks, each may have half a megabyte. */
const PAGE_OF_TASKS = 16;
const PAGE_OF_ONE = BATCH_ITEMS;

/**
 * Reads the last minutes, the oldest first, including the one that has not ended. A minute without counts has no tallies.
 * @param field - the name of a task, or `HISTORY.all`; `null` for every task that was counted separately, and `other`
 */
export async function* readHistory(
  redis: Redis,
  keys: Keys,
  { minutes, field }: { readonly minutes: number; readonly field: string | null },
): AsyncIterable<RecordedMinute> {
  const last = Math.floor((await serverTimeMs(redis)) / MINUTE_MS);
  const all = Array.from({ length: minutes }, (_, i) => last - minutes + 1 + i);
  const pageSize = field === null ? PAGE_OF_TASKS : PAGE_OF_ONE;
  for (let from = 0; from < all.length; from += pageSize) {
    const page = all.slice(from, from + pageSize);
    const read = await Promise.all(page.map((minute) => readFields(redis, keys.history(String(minute)), field)));
    for (const [i, tallies] of read.entries()) yield { atMs: page[i]! * MINUTE_MS, tallies };
  }
}

async function readFields(redis: Redis, key: string, field: string | null): Promise<readonly StoredTally[]> {
  if (field === null) {
    const fields = Object.entries(await redis.hgetall(key));
    return fields.filter(([name]) => name !== HISTORY.all);
  }
  const text = await redis.hget(key, field);
  return text === null ? [] : [[field, text]];
}

/** Counts to which stored ones are added. */
export interface TallySum extends TaskTally {
  started: number;
  succeeded: number;
  failed: number;
  retried: number;
}

/**
 * Adds the counts of a stored tally. Leaves out fields that this version does not know, and values that are not counts. Two days
 * of many tasks have a million of them, so no object is made on the way.
 */
export function addStored(text: string, sum: TallySum): void {
  const counts = parsed(text);
  for (const member of Object.keys(counts)) {
    const count = counts[member];
    if (isCount(count)) addCount(member, count, sum);
  }
}

function addCount(member: string, count: number, sum: TallySum): void {
  switch (member) {
    case TALLY.started:
      sum.started += count;
      return;
    case TALLY.succeeded:
      sum.succeeded += count;
      return;
    case TALLY.failed:
      sum.failed += count;
      return;
    case TALLY.retried:
      sum.retried += count;
      return;
  }
  const bucket = Number(member.slice(1));
  if (member.length < 2 || !Number.isInteger(bucket)) return;
  if (member[0] === TALLY.waiting) sum.waiting.addTo(bucket, count);
  else if (member[0] === TALLY.duration) sum.duration.addTo(bucket, count);
}

function isCount(value: unknown): value is number {
  return Number.isFinite(value) && (value as number) > 0;
}

function parsed(text: string): Record<string, number> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, number>) : {};
  } catch {
    return {};
  }
}
