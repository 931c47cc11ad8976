/** Reads all that Redis knows of one execution, in one script, and finds the entry of one without a record. */
import type { Redis } from 'ioredis';
import { timeOfId } from '../core/ids.js';
import type { Priority } from '../core/priority.js';
import { isTerminal } from '../core/states.js';
import type { Token } from './delivery-store.js';
import { type Entry, readEntry } from './entry.js';
import { type FailedAttemptRecord, parseFailedAttempts } from './failed-attempts.js';
import { workerNameOf } from './fleet-store.js';
import type { Keys } from './keys.js';
import { findEntry } from './listing-store.js';
import { priorityOf } from './priority-argument.js';
import { type ExecutionRecord, limitOf, readRecord } from './record.js';
import { BATCH_ITEMS, ENTRY, PARKED, PARKED_PREFIX, RECORD, type StreamLetter, type StreamName } from './schema.js';
import { runScript } from './script.js';

/** A permit of a limit. */
export interface Permit {
  readonly limit: string;
  readonly max: number;
}

/** What is known of one execution. Times are server milliseconds. */
export interface Known {
  readonly nowMs: number;
  /** `null` when it has no record. */
  readonly record: ExecutionRecord | null;
  /** When the record expires; `null` while it does not. */
  readonly expiresMs: number | null;
  readonly isCancelled: boolean;
  readonly failedAttempts: readonly FailedAttemptRecord[];
  /** Its entry; `null` when it is parked, or has ended. */
  readonly entry: Entry | null;
  /** Name of the worker that has the entry; `null` when none has. */
  readonly reader: string | null;
  readonly message: Buffer | null;
  /** `null` once it has ended. */
  readonly priority: Priority | null;
  /** When it was placed; `null` when that is not known. */
  readonly placedMs: number | null;
  /** Deliveries without an outcome, those it is charged with, and how often it was rerouted. */
  readonly counts: { readonly deliveries: number; readonly charges: number; readonly reroutes: number };
  /** While it is on the schedule: when it leaves it. */
  readonly scheduledMs: number | null;
  /** When it is due; `null` when that is not known. */
  readonly dueMs: number | null;
  /** The permits it holds. */
  readonly holds: readonly Permit[];
  readonly waits: Wait | null;
}

/** The limit at which an execution waits. */
export interface Wait {
  readonly limit: string;
  readonly kind: 'permit' | 'rate' | 'debounce';
  /** The permits it needs. */
  readonly needs: readonly Permit[];
  /** Number of executions before it; `null` when there is no line, or it has no place in it. */
  readonly ahead: number | null;
  /** How many wait in that line. */
  readonly length: number;
}

/** Entries that are looked at from each of these points to find an execution without a record. */
const MOST_ENTRIES = 50_000;
/** How much earlier than by its producer's clock an execution may have been added by the server's. Most clocks agree. */
const CLOCK_TOLERANCES_MS = [20, 1_000, 60_000] as const;
/** The streams that executions are added to, the likeliest first. */
const BY_ARRIVAL: readonly StreamName[] = ['work', 'high', 'low'];

/** Returns what is known of the execution under a key or id; `null` when nothing is. */
export async function readKnown(redis: Redis, keys: Keys, key: string): Promise<Known | null> {
  const known = await read(redis, keys, key, '');
  if (known) return known;
  const token = await findToken(redis, keys, key);
  return token === null ? null : await read(redis, keys, key, token);
}

async function read(redis: Redis, keys: Keys, key: string, wanted: Token | ''): Promise<Known | null> {
  const reply = await runScript(redis, 'show', [keys.work, keys.front, keys.schedule], [keys.prefix, key, wanted]);
  const [now, stored, ttlMs, parked, token, entryFields, consumer, holds, score, rank, length, cancelled] =
    reply as Reply;
  if (stored.length === 0 && parked.length === 0 && token.length === 0) return null;
  const nowMs = Number(now);
  const hasRecord = stored.length > 0;
  const fields = fieldsOf(hasRecord ? stored : parked);
  const text = (field: string) => fields.get(field)?.toString() ?? '';
  const found = token.toString();
  const raw: [Buffer, Buffer[]] = [Buffer.from(found.slice(1)), entryFields];
  const entry = found === '' ? null : readEntry(found[0] as StreamLetter, raw);
  const placed = fieldsOf(entryFields).get(ENTRY.placed)?.toString();
  const message = entry?.message ?? fields.get(PARKED.message) ?? null;
  const record = hasRecord && fields.has(RECORD.state) ? recordOf(fields, nowMs, message) : null;
  return {
    nowMs,
    record,
    expiresMs: hasRecord && ttlMs > 0 ? nowMs + ttlMs : null,
    isCancelled: text(RECORD.cancelled) === '1' || cancelled.length > 0,
    failedAttempts: hasRecord ? parseFailedAttempts(text(RECORD.failedAttempts)) : [],
    entry,
    reader: consumer.length > 0 ? workerNameOf(consumer.toString()) : null,
    message,
    priority: record && isTerminal(record.state) ? null : (entry?.priority ?? priorityOf(text(PARKED.priority))),
    placedMs: record ? generationMs(record.generation) : placedMsOf(placed ?? text(PARKED.placed), entry),
    counts: entry ?? {
      deliveries: Number(text(PARKED_PREFIX + ENTRY.deliveries)),
      charges: Number(text(PARKED_PREFIX + ENTRY.charges)),
      reroutes: Number(text(PARKED_PREFIX + ENTRY.reroutes)),
    },
    scheduledMs: score.length > 0 ? Number(score) : null,
    dueMs: record?.dueMs ?? entry?.dueMs ?? (Number(text(PARKED.due)) || null),
    holds: permitsOf(holds.toString()),
    waits: waitOf(fields, { rank, length }),
  };
}

type Reply = [
  now: Buffer,
  record: Buffer[],
  ttlMs: number,
  parked: Buffer[],
  token: Buffer,
  entry: Buffer[],
  consumer: Buffer,
  holds: Buffer,
  score: Buffer,
  rank: number,
  length: number,
  cancelled: Buffer,
];

/** A generation is the server's microseconds. */
function generationMs(generation: number): number | null {
  return generation > 0 ? Math.floor(generation / 1_000) : null;
}

/** Without a record, a generation or the id of the first entry says when it was placed. The first entry itself says neither. */
function placedMsOf(placed: string, entry: Entry | null): number | null {
  const first = placed === '' && entry !== null ? entry.token.slice(1) : placed;
  return first.includes('-') ? Number.parseInt(first, 10) : generationMs(Number(first));
}

function recordOf(fields: ReadonlyMap<string, Buffer>, nowMs: number, message: Buffer | null): ExecutionRecord {
  return readRecord(fields, { timeUs: nowMs * 1_000, message: message ?? Buffer.alloc(0) });
}

function waitOf(
  fields: ReadonlyMap<string, Buffer>,
  { rank, length }: { readonly rank: number; readonly length: number },
): Wait | null {
  const limit = limitOf(fields);
  if (limit === null) return null;
  const needs = permitsOf(fields.get(PARKED.needs)?.toString() ?? '');
  const kind = fields.has(PARKED.limit) ? 'permit' : fields.has(PARKED.booking) ? 'rate' : 'debounce';
  return { limit, kind, needs, ahead: rank < 0 ? null : rank, length };
}

/** Reads `<name> <max> <name> <max> ...`. */
export function permitsOf(needs: string): Permit[] {
  const words = needs === '' ? [] : needs.split(' ');
  return Array.from({ length: Math.floor(words.length / 2) }, (_, i) => {
    return { limit: words[2 * i]!, max: Number(words[2 * i + 1]) };
  });
}

/**
 * Finds the entry of an execution without a record. Its id says when it was made, and executions lie on `work` and `high` in the
 * order of their arrival, and on `low` at that place or behind it. `front` is usually short.
 */
async function findToken(redis: Redis, keys: Keys, id: string): Promise<Token | null> {
  const madeMs = timeOfId(id);
  if (madeMs === null) return null;
  let untilMs = Number.POSITIVE_INFINITY;
  for (const toleranceMs of CLOCK_TOLERANCES_MS) {
    const fromMs = Math.max(0, Math.floor(madeMs) - toleranceMs);
    for (const place of BY_ARRIVAL) {
      const found = await findIn(redis, keys, { place, wantedId: id, from: `${fromMs}-0`, untilMs });
      if (found) return found;
    }
    untilMs = fromMs;
  }
  return await findIn(redis, keys, { place: 'front', wantedId: id, from: '', untilMs: Number.POSITIVE_INFINITY });
}

interface Search {
  readonly place: StreamName;
  readonly wantedId: string;
  /** Id of the entry behind which it begins. */
  readonly from: string;
  /** Time of the entries at which it ends. */
  readonly untilMs: number;
}

async function findIn(redis: Redis, keys: Keys, { place, wantedId, from, untilMs }: Search): Promise<Token | null> {
  let id = from;
  for (let looked = 0; looked < MOST_ENTRIES; looked += BATCH_ITEMS) {
    const { found, next } = await findEntry(redis, keys, place, { id, wantedId });
    if (found[0]) return found[0].location as Token;
    if (next?.place !== place || Number.parseInt(next.id, 10) > untilMs) return null;
    id = next.id;
  }
  return null;
}

function fieldsOf(flat: readonly Buffer[]): Map<string, Buffer> {
  const fields = new Map<string, Buffer>();
  for (let i = 0; i + 1 < flat.length; i += 2) fields.set(flat[i]!.toString(), flat[i + 1]!);
  return fields;
}
