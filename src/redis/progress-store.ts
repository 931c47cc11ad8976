/** How far executions are, in their records: written while they run, and changed from outside. */
import type { Redis } from 'ioredis';
import { DEFAULT_TOTAL } from '../core/progress.js';
import { BATCH_ITEMS, type Token } from './delivery-store.js';
import type { Keys } from './keys.js';
import { runScript, type ScriptArgument } from './script.js';

/** Progress as it is kept. */
export interface ProgressRecord {
  readonly current: number;
  readonly total: number;
  readonly message: string | null;
  /** Server milliseconds; `null` when nothing was ever reported. */
  readonly updatedMs: number | null;
}

export const NO_PROGRESS: ProgressRecord = { current: 0, total: DEFAULT_TOTAL, message: null, updatedMs: null };

/** How far an execution is that runs here. */
export interface ProgressReport {
  /** Key of the record. */
  readonly record: string;
  readonly token: Token;
  readonly current: number;
  /** `undefined` leaves it as it is. */
  readonly total: number | undefined;
  /** `undefined` leaves it as it is. */
  readonly message: string | null | undefined;
}

/** Writes how far executions are; what belongs to others by now is left alone. Sending it twice does no harm. */
export async function reportProgress(redis: Redis, keys: Keys, reports: readonly ProgressReport[]): Promise<void> {
  const batches: Promise<unknown>[] = [];
  for (let start = 0; start < reports.length; start += BATCH_ITEMS) {
    const args: ScriptArgument[] = [keys.prefix];
    for (const { record, token, current, total, message } of reports.slice(start, start + BATCH_ITEMS)) {
      args.push(record, token, current, total ?? '', message === undefined ? '' : '1', message ?? '');
    }
    batches.push(runScript(redis, 'report-progress', [keys.work], args));
  }
  await Promise.all(batches);
}

/** Changes the progress of one execution from outside; `null` when nothing is known of it, or another has its key. */
export async function changeProgress(
  redis: Redis,
  keys: Keys,
  key: string,
  generation: number,
  change: 'increment' | 'total' | 'message',
  value: string | number,
): Promise<{ readonly generation: number; readonly progress: ProgressRecord | null } | null> {
  const args = [keys.prefix, key, generation, change, value];
  const reply = (await runScript(redis, 'change-progress', [keys.run(key)], args)) as Buffer[];
  if (reply.length === 0) return null;
  const [found, ...values] = reply.map(String);
  return { generation: Number(found), progress: values.length > 0 ? progressFrom(values) : null };
}

/** Reads current, total, time and message, as scripts tell them. */
export function progressFrom([current, total, updatedMs, ...message]: readonly string[]): ProgressRecord {
  return {
    current: Number(current),
    total: Number(total),
    message: message.join('\n') || null,
    updatedMs: updatedMs ? Number(updatedMs) : null,
  };
}

/** Progress from the fields of a record. */
export function progressOf(fields: ReadonlyMap<string, Buffer>): ProgressRecord {
  if (!fields.has('v')) return NO_PROGRESS;
  return {
    current: Number(fields.get('i') ?? 0) + Number(fields.get('j') ?? 0),
    total: Number(fields.get('o') ?? DEFAULT_TOTAL),
    message: fields.get('u')?.toString() || null,
    updatedMs: Number(fields.get('v')),
  };
}
