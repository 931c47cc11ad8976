/** Writes the progress of executions to their records, while they run and from outside. */
import type { Redis } from 'ioredis';
import { batchesOf } from '../core/batcher.js';
import type { Token } from './delivery-store.js';
import type { Keys } from './keys.js';
import { type ProgressRecord, readProgress, readProgressLines } from './record.js';
import { BATCH_ITEMS, PROGRESS } from './schema.js';
import { runScript, type ScriptArgument } from './script.js';

/** The progress of an execution that runs here. */
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

/** Writes progress, except of executions that belong to other workers by now. Sending a report twice does no harm. */
export async function reportProgress(redis: Redis, keys: Keys, reports: readonly ProgressReport[]): Promise<void> {
  const writes: Promise<unknown>[] = [];
  for (const batch of batchesOf(reports, { maxItems: BATCH_ITEMS })) {
    const args: ScriptArgument[] = [keys.prefix];
    for (const { record, token, current, total, message } of batch) {
      args.push(record, token, current, total ?? '', message === undefined ? '' : '1', message ?? '');
    }
    writes.push(runScript(redis, 'report-progress', [keys.work], args));
  }
  await Promise.all(writes);
}

/** The execution that is meant: named by its placement from outside, or by the delivery that runs. */
export type ProgressOwner = { readonly generation: number } | { readonly token: string };

export interface ProgressChange {
  readonly key: string;
  readonly owner: ProgressOwner;
  readonly change: 'increment' | 'total' | 'message';
  readonly value: string | number;
}

/**
 * Changes the progress of one execution. Returns `null` when there is no record, and no progress when the key belongs to
 * another owner, whose generation is then returned.
 */
export async function changeProgress(
  redis: Redis,
  keys: Keys,
  { key, owner, change, value }: ProgressChange,
): Promise<{ readonly generation: number; readonly progress: ProgressRecord | null } | null> {
  const [generation, token] = 'token' in owner ? ['', owner.token] : [owner.generation, ''];
  const args = [keys.prefix, key, generation, change, value, token];
  const reply = (await runScript(redis, 'change-progress', [keys.record(key)], args)) as (Buffer | number)[];
  if (reply.length === 0) return null;
  const [found, ...values] = reply.map(String);
  return { generation: Number(found), progress: values.length > 0 ? readProgressLines(values) : null };
}

const PROGRESS_FIELDS = Object.values(PROGRESS);

/** Reads the progress of executions, and nothing else of their records; `null` for each that has reported none. */
export async function readProgressOf(
  redis: Redis,
  keys: Keys,
  executions: readonly string[],
): Promise<(ProgressRecord | null)[]> {
  const reading = executions.map(async (key) => {
    const values = await redis.hmget(keys.record(key), ...PROGRESS_FIELDS);
    const found = PROGRESS_FIELDS.flatMap((field, i): [string, string][] => (values[i] ? [[field, values[i]]] : []));
    const progress = readProgress(new Map(found));
    return progress.updatedMs === null ? null : progress;
  });
  return await Promise.all(reading);
}
