/** Counts and lists the executions of a docket in bounded scripts whose cost does not grow with the backlog. */
import type { Redis } from 'ioredis';
import { UndecodableValueError } from '../core/errors.js';
import type { Priority } from '../core/priority.js';
import { Envelope } from '../wire/envelope.js';
import { type RawEntry, readEntry } from './entry.js';
import type { Keys } from './keys.js';
import { isLine } from './pause-store.js';
import { priorityOf } from './priority-argument.js';
import { BATCH_BYTES, BATCH_ITEMS, GROUP, LETTER, STREAM, STREAM_NAMES } from './schema.js';
import { runScript } from './script.js';
import { storedTime } from './stored-time.js';

/** Where an execution is: the token of its entry behind a letter, or its member of the schedule or of a limit. */
export type Location = string;

export interface Survey {
  /** Server milliseconds. */
  readonly nowMs: number;
  readonly queued: number;
  readonly running: number;
  readonly scheduled: number;
  readonly failures: number;
  readonly future: readonly { readonly location: Location; readonly dueMs: number }[];
  readonly held: readonly { readonly location: Location; readonly consumer: string }[];
}

/** Counts executions by where they are, and lists up to `count` of each kind. */
export async function survey(redis: Redis, keys: Keys, count: number): Promise<Survey> {
  const names = [keys.work, keys.front, keys.schedule, keys.failures];
  const reply = await runScript(redis, 'survey', names, [count, keys.prefix]);
  const [now, entries, running, scheduled, failures, ...lists] = reply as [
    Buffer,
    number,
    number,
    number,
    number,
    Buffer[],
    Buffer[],
  ];
  const [future, held] = lists.map((list) => list.map(String)) as [string[], string[]];
  return {
    nowMs: Number(now),
    queued: entries - running,
    running,
    scheduled,
    failures,
    future: groupsOf(2, future).map(([location, due]) => ({ location: location!, dueMs: storedTime(due) ?? 0 })),
    held: groupsOf(2, held).map(([token, consumer]) => ({ location: `${LETTER.entry}${token}`, consumer: consumer! })),
  };
}

/** Numbers of the whole docket that take one look each. */
export interface Measures {
  /** Workers whose heartbeats have not expired. */
  readonly workers: number;
  /** How long the execution that is read next has been due, in milliseconds; 0 when nothing is queued. */
  readonly oldestQueuedMs: number;
  /** Since when it has been due, in server milliseconds; `null` when nothing is queued. */
  readonly oldestDueMs: number | null;
}

/** Measures a docket. Costs the same whatever is in it. */
export async function measure(redis: Redis, keys: Keys): Promise<Measures> {
  const reply = (await runScript(redis, 'measure', [keys.work, keys.front, keys.workers], [keys.prefix])) as (
    | Buffer
    | number
  )[];
  const [nowMs, workers, ...dueMs] = reply.map(Number) as [number, number, ...number[]];
  const oldestDueMs = dueMs.length > 0 ? Math.min(...dueMs) : null;
  return { workers, oldestQueuedMs: oldestDueMs === null ? 0 : Math.max(0, nowMs - oldestDueMs), oldestDueMs };
}

export interface Queued {
  readonly location: Location;
  readonly dueMs: number;
}

/**
 * Lists up to `count` entries of the backlog, in the order of reading. Entries come with their messages, so they
 * are read in pages, and the list ends behind 1 MiB of them.
 */
export async function surveyQueued(redis: Redis, keys: Keys, count: number): Promise<Queued[]> {
  const queued: Queued[] = [];
  let bytes = 0;
  if (count === 0) return queued;
  const read = await Promise.all(STREAM_NAMES.map((name) => lastDelivered(redis, keys[name])));
  for (const [i, name] of STREAM_NAMES.entries()) {
    const [letter, stream] = [STREAM[name], keys[name]];
    let last = read[i]!;
    while (last !== null && queued.length < count && bytes < BATCH_BYTES) {
      const size = Math.min(PAGE, count - queued.length);
      const page = (await redis.xrangeBuffer(stream, `(${last}`, '+', 'COUNT', size)) as RawEntry[];
      for (const raw of page) {
        const [id, fields] = raw;
        const { token, dueMs } = readEntry(letter, raw);
        last = id.toString();
        queued.push({ location: `${LETTER.entry}${token}`, dueMs });
        for (const field of fields) bytes += field.length;
      }
      if (page.length < size) break;
    }
  }
  return queued;
}

/** Small, since a single message may have 1 MiB. */
const PAGE = 16;

/** Returns the id of the last entry that was read; `null` when the stream is empty. Before the first read there is no group. */
async function lastDelivered(redis: Redis, stream: string): Promise<string | null> {
  const [length, groups] = await Promise.all([
    redis.xlen(stream),
    redis.xinfo('GROUPS', stream).catch((error: Error) => error), // there may be no stream
  ]);
  if (length === 0) return null;
  if (groups instanceof Error) throw groups;
  for (const group of groups as unknown[][]) {
    const field = (name: string) => String(group[group.indexOf(name) + 1]);
    if (field('name') === GROUP) return field('last-delivered-id');
  }
  return '0-0';
}

export interface Waiting {
  /** Those at limits. */
  readonly total: number;
  /** Those of paused tasks. */
  readonly paused: number;
  readonly first: readonly { readonly location: Location; readonly limit: string }[];
}

/** Counts the waiters at all limits and in the lines of paused tasks, and lists up to `count` of them, limit by limit. */
export async function surveyWaiting(redis: Redis, keys: Keys, count: number): Promise<Waiting> {
  const first: { location: Location; limit: string }[] = [];
  let total = 0;
  let paused = 0;
  let cursor = '0';
  do {
    const [next, page] = await redis.hscan(keys.waiting, cursor, 'COUNT', BATCH_ITEMS);
    const limits = page.filter((_, i) => i % 2 === 0);
    const sizes = await Promise.all(limits.map((limit) => redis.zcard(keys.limit(limit))));
    for (const [i, size] of sizes.entries()) {
      if (isLine(limits[i]!)) paused += size;
      else total += size;
    }
    for (const limit of limits) {
      if (first.length >= count) break;
      const members = await redis.zrange(keys.limit(limit), '0', String(count - first.length - 1));
      first.push(...members.map((location) => ({ location, limit })));
    }
    cursor = next;
  } while (cursor !== '0');
  return { total, paused, first };
}

export interface Identity {
  readonly key: string;
  readonly task: string;
  readonly attempt: number;
  /** '' when it has no record. */
  readonly state: string;
  /** Name of the worker that claimed it last; '' when none did, or when it has no record. */
  readonly worker: string;
  /** When it was claimed last, in server milliseconds. */
  readonly startedMs: number | null;
  /** While it is scheduled: name of the limit whose rate or debounce it waits for. */
  readonly waitingFor: string | null;
  readonly priority: Priority;
}

/** Identifies the executions in these places. Returns `null` for those that have gone elsewhere. */
export async function identify(redis: Redis, keys: Keys, locations: readonly Location[]): Promise<(Identity | null)[]> {
  const identities: (Identity | null)[] = [];
  while (identities.length < locations.length) {
    // Not cut beforehand: a reply may be shorter than its batch, and the next batch begins where it ended.
    const batch = locations.slice(identities.length, identities.length + BATCH_ITEMS);
    const replies = await runScript(redis, 'identify', [keys.work, keys.front], [keys.prefix, ...batch]);
    (replies as Buffer[][]).forEach((reply, i) => {
      identities.push(identityOf(reply, batch[i]!.slice(1)));
    });
  }
  return identities;
}

function identityOf(reply: readonly Buffer[], place: string): Identity | null {
  if (reply.length === 0) return null;
  const [key, task, attempt, state, worker, started] = reply.map(String) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const waitingFor = reply[7]!.toString() || null;
  const priority = priorityOf(reply[8]!.toString());
  if (key !== '') {
    const startedMs = storedTime(started);
    return { key, task, attempt: Number(attempt), state, worker, startedMs, waitingFor, priority };
  }
  const unrecorded = { state: '', worker: '', startedMs: null, waitingFor, priority };
  try {
    const envelope = new Envelope(reply[6]!);
    return { key: envelope.id ?? place, task: envelope.task, attempt: envelope.attempt, ...unrecorded };
  } catch (error) {
    if (!(error instanceof UndecodableValueError)) throw error;
    return { key: place, task: '', attempt: 1, ...unrecorded }; // a worker will put it into quarantine
  }
}

function groupsOf<T>(size: number, items: readonly T[]): T[][] {
  return Array.from({ length: items.length / size }, (_, i) => items.slice(i * size, (i + 1) * size));
}
