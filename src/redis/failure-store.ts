/** Lists, reads, retries and discards failures, in bounded scripts whose cost does not grow with their number. */
import type { Redis } from 'ioredis';
import { LATEST_MS } from '../core/clock.js';
import type { Priority } from '../core/priority.js';
import { Envelope } from '../wire/envelope.js';
import type { Keys } from './keys.js';
import { priorityOf } from './priority-argument.js';
import { BATCH_ITEMS, FAILURE, FAILURE_KIND } from './schema.js';
import { runScript } from './script.js';

/** How much of the failures a worker keeps. The oldest go first. */
export interface FailureBounds {
  readonly ttlMs: number;
  readonly maxCount: number;
  readonly maxBytes: number;
}

/** A failure as it is stored. Times are server milliseconds. */
export interface StoredFailure {
  readonly id: string;
  readonly kind: keyof typeof FAILURE_KIND;
  /** `null` when it could not be read. */
  readonly key: string | null;
  /** `null` when it could not be read. */
  readonly task: string | null;
  readonly message: Buffer;
  /** The error, encoded; `null` when there is none. */
  readonly error: Buffer | null;
  readonly errorName: string | null;
  readonly line: string;
  readonly attempts: number;
  readonly deliveries: number;
  readonly worker: string | null;
  readonly thread: number | null;
  readonly addedMs: number | null;
  readonly startedMs: number | null;
  readonly failedMs: number;
  readonly priority: Priority;
}

/** Which failures are listed. */
export interface FailureQuery {
  readonly task: string | null;
  readonly errorName: string | null;
  /** Server milliseconds, both included; `null` for no bound. */
  readonly sinceMs: number | null;
  readonly untilMs: number | null;
  /** Only those that were added before the failure with this id; `null` for no bound. */
  readonly beforeId: string | null;
}

export interface FailurePage<T> {
  readonly found: readonly T[];
  /** Where the next page begins; `null` behind the last one. */
  readonly next: string | null;
}

/** Returns the start of the list: the newest failure that the query selects. */
export function firstPage({ untilMs, beforeId }: FailureQuery): string {
  if (beforeId !== null && (untilMs === null || Number.parseInt(beforeId, 10) <= untilMs)) return `(${beforeId}`;
  return untilMs === null ? '+' : String(untilMs);
}

/** Lists one page of failures, the newest first: `wanted` at most. It may be empty although others follow. */
export async function listFailures(
  redis: Redis,
  keys: Keys,
  query: FailureQuery,
  { from, wanted }: { readonly from: string; readonly wanted: number },
): Promise<FailurePage<StoredFailure>> {
  const { found, next } = await list(redis, keys, query, { from, wanted, idsOnly: false });
  return { found: found.map(([id, fields]) => readFailure(String(id), fields)), next };
}

/** Lists one page of ids, as `listFailures` does. */
export async function listFailureIds(
  redis: Redis,
  keys: Keys,
  query: FailureQuery,
  from: string,
): Promise<FailurePage<string>> {
  const { found, next } = await list(redis, keys, query, { from, wanted: Number.MAX_SAFE_INTEGER, idsOnly: true });
  return { found: found.map(([id]) => String(id)), next };
}

/** Failures of one task with errors of one name. */
export interface StoredFailureGroup {
  /** `null` when it could not be read. */
  readonly task: string | null;
  readonly errorName: string | null;
  readonly count: number;
  readonly newestId: string;
}

/** Counts one page of failures by task and error name, as `listFailures` goes through them. */
export async function groupFailures(
  redis: Redis,
  keys: Keys,
  { task, errorName, sinceMs }: FailureQuery,
  from: string,
): Promise<FailurePage<StoredFailureGroup>> {
  const args = [from, sinceMs === null ? '-' : sinceMs, task ?? '', errorName ?? ''];
  const [next, ...groups] = (await runScript(redis, 'group-failures', [keys.failures], args)) as [
    Buffer,
    ...[task: Buffer, errorName: Buffer, count: number, newestId: Buffer][],
  ];
  const found = groups.map(([task, errorName, count, newestId]) => {
    return { task: String(task) || null, errorName: String(errorName) || null, count, newestId: String(newestId) };
  });
  return { found, next: String(next) || null };
}

type RawFailure = [id: Buffer, fields: Buffer[]];

async function list(
  redis: Redis,
  keys: Keys,
  { task, errorName, sinceMs }: FailureQuery,
  { from, wanted, idsOnly }: { readonly from: string; readonly wanted: number; readonly idsOnly: boolean },
): Promise<FailurePage<RawFailure>> {
  const args = [from, sinceMs === null ? '-' : sinceMs, wanted, task ?? '', errorName ?? '', idsOnly ? 1 : ''];
  const [next, ...found] = (await runScript(redis, 'list-failures', [keys.failures], args)) as [
    Buffer,
    ...RawFailure[],
  ];
  return { found, next: String(next) || null };
}

/**
 * Reads failures by their ids; `null` for ids without one. It stops after 1 MiB, and then returns fewer than it was asked for.
 */
export async function readFailures(
  redis: Redis,
  keys: Keys,
  ids: readonly string[],
): Promise<(StoredFailure | null)[]> {
  const replies = (await runScript(redis, 'read-failures', [keys.failures], ids)) as Buffer[][];
  return replies.map((fields, i) => (fields.length > 0 ? readFailure(ids[i]!, fields) : null));
}

/**
 * Places the executions of failures again, and removes these failures. Returns what became of each (`RETRY`, or the reason why
 * it cannot run again). It stops after 1 MiB, and then returns fewer than there are ids.
 * @param strikes - version of the strikes they were checked against. When it is not the latest, nothing is written and
 *   `null` is returned
 */
export async function retryFailures(
  redis: Redis,
  keys: Keys,
  ids: readonly string[],
  strikes: string,
): Promise<string[] | null> {
  const names = [keys.work, keys.front, keys.schedule, keys.strikes];
  const reply = (await runScript(redis, 'retry', names, [keys.prefix, strikes, ...ids])) as Buffer[] | null;
  return reply?.map(String) ?? null;
}

/** Removes failures. Returns how many there were. */
export async function discardFailures(redis: Redis, keys: Keys, ids: readonly string[]): Promise<number> {
  let removed = 0;
  for (let at = 0; at < ids.length; ) {
    const page = ids.slice(at, at + BATCH_ITEMS);
    const reply = await runScript(redis, 'discard', [keys.failures], [keys.prefix, ...page]);
    const [lookedAt, count] = reply as [number, number];
    at += lookedAt;
    removed += count;
  }
  return removed;
}

function readFailure(id: string, list: readonly Buffer[]): StoredFailure {
  const fields = new Map<string, Buffer>();
  for (let i = 0; i + 1 < list.length; i += 2) fields.set(list[i]!.toString(), list[i + 1]!);
  const text = (name: string) => fields.get(name)?.toString() || null;
  const number = (name: string) => {
    const value = Number(text(name) ?? Number.NaN);
    return Number.isFinite(value) && value >= 0 ? Math.min(value, LATEST_MS) : null; // another program may have written it
  };
  const error = fields.get(FAILURE.error);
  return {
    id,
    kind: text(FAILURE.kind) === FAILURE_KIND.quarantined ? 'quarantined' : 'failed',
    key: text(FAILURE.key),
    task: text(FAILURE.task),
    message: fields.get(FAILURE.message) ?? Buffer.alloc(0),
    error: error?.length ? error : null,
    errorName: text(FAILURE.errorName),
    line: text(FAILURE.line) ?? '',
    attempts: number(FAILURE.attempts) ?? 1,
    deliveries: number(FAILURE.deliveries) ?? 0,
    worker: text(FAILURE.worker),
    thread: number(FAILURE.thread),
    addedMs: number(FAILURE.added),
    startedMs: number(FAILURE.started),
    failedMs: Math.min(Number.parseInt(id, 10), LATEST_MS),
    priority: priorityOf(text(FAILURE.priority) ?? ''),
  };
}

/** The encoded arguments in the message of a failure. */
export function argumentsOf({ message }: Pick<StoredFailure, 'message'>): Buffer {
  return new Envelope(message).args;
}
