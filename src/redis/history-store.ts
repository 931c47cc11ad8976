/** The history of a docket: what its workers counted, minute by minute. Adds pages of counts, and reads minutes. */
import type { Redis } from 'ioredis';
import { DurationCounts } from '../core/duration-counts.js';
import type { Keys } from './keys.js';
import { BATCH_ITEMS, HISTORY, TALLY } from './schema.js';
import { runScript, type ScriptArgument } from './script.js';
import { serverTimeMs } from './time.js';

export const MINUTE_MS = 60_000;

/** The maximum number of tasks of one page. Each takes the server up to 25 us (measured), more than other items of scripts. */
export const HISTORY_PAGE_TASKS = BATCH_ITEMS / 2;

/** What the attempts of a task, or of all, came to in some time. */
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

/** Some of what a worker has counted. A page never changes, so that it can be sent again. */
export interface HistoryPage {
  /** Counted from 1, in the order of sending. */
  readonly number: number;
  /** The minute to which it belongs, as a number of server minutes. */
  readonly minute: number;
  /** Tallies by task; that of all tasks together has the name `HISTORY.all`. At most `HISTORY_PAGE_TASKS`. */
  readonly tallies: readonly (readonly [task: string, TaskTally])[];
}

/** Adds a page to the history, unless that was done before. Send the pages of a worker one after the other. */
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

/** One minute of the history, with a tally of each field that was asked for and that it has. */
export interface RecordedMinute {
  /** When it begins, in server milliseconds. */
  readonly atMs: number;
  readonly tallies: ReadonlyMap<string, TaskTally>;
}

/** Minutes that are read at once: of all tasks, each may have half a megabyte. */
const PAGE_OF_TASKS = 16;
const PAGE_OF_ONE = BATCH_ITEMS;

/**
 * Reads the last minutes, the oldest first, up to the one that has begun; one without counts has no tallies.
 * @param field - the name of a task, or `HISTORY.all`; `null` for every task that was counted apart, and `other`
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
    for (const [i, fields] of read.entries()) yield { atMs: page[i]! * MINUTE_MS, tallies: talliesOf(fields) };
  }
}

type Fields = readonly (readonly [name: string, text: string])[];

async function readFields(redis: Redis, key: string, field: string | null): Promise<Fields> {
  if (field === null) {
    const fields = Object.entries(await redis.hgetall(key));
    return fields.filter(([name]) => name !== HISTORY.all);
  }
  const text = await redis.hget(key, field);
  return text === null ? [] : [[field, text]];
}

function talliesOf(fields: Fields): Map<string, TaskTally> {
  return new Map(fields.map(([name, text]) => [name, decoded(text)]));
}

const MEMBER = new RegExp(`^([${TALLY.waiting}${TALLY.duration}])(-?\\d{1,4})$`);

/** Reads a tally. What this version does not know, or what is no count, is left out. A day of many tasks has 100,000 of them. */
function decoded(text: string): TaskTally {
  const [waiting, duration] = [new DurationCounts(), new DurationCounts()];
  const counts = parsed(text);
  for (const member in counts) {
    const count = counts[member]!;
    if (member.length === 1 || !isCount(count)) continue;
    const [, part, bucket] = MEMBER.exec(member) ?? [];
    if (part !== undefined) (part === TALLY.waiting ? waiting : duration).addTo(Number(bucket), count);
  }
  const of = (member: string) => (isCount(counts[member]) ? counts[member] : 0);
  return {
    waiting,
    duration,
    started: of(TALLY.started),
    succeeded: of(TALLY.succeeded),
    failed: of(TALLY.failed),
    retried: of(TALLY.retried),
  };
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
