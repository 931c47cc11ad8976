/** Starts the chains of automatic tasks, and records which were started, under which policy, and which were ended. */
import type { Redis } from 'ioredis';
import { batchesOf } from '../core/batcher.js';
import type { Priority } from '../core/priority.js';
import { dueArgument } from './due-argument.js';
import type { Keys } from './keys.js';
import { priorityArgument } from './priority-argument.js';
import { BATCH_ITEMS } from './schema.js';
import { runScript, type ScriptArgument } from './script.js';

export interface Seed {
  readonly task: string;
  /** Text that changes when the policy does. */
  readonly fingerprint: string;
  /** When the first run is due, in server milliseconds; `null` is now. */
  readonly dueMs: number | null;
  /** When a pending run is due under a policy that has changed, in milliseconds from now; `null` is `dueMs`. */
  readonly retimedInMs: number | null;
  readonly message: Buffer;
  /** What the record says about the chain, see `RECORD.chain`. */
  readonly chain: string;
  /** @default normal */
  readonly priority?: Priority | undefined;
}

export interface Seeded {
  /** Names of the tasks whose chains were started or given another time. */
  readonly tasks: readonly string[];
  /** The server's errors about records that cannot be used. Their chains were left as they are. */
  readonly errors: readonly string[];
}

/**
 * Starts the chains that nobody has started or that were lost, once for the whole fleet. When a worker starts
 * (`isStarting`), pending runs whose policy has changed get their new time.
 * @param strikes - the version of the strikes at which the layout had the partition; `null` for any. When another one is current,
 *   nothing is written, and `null` is returned
 */
export async function seedChains(
  redis: Redis,
  keys: Keys,
  seeds: readonly Seed[],
  { isStarting, strikes }: { readonly isStarting: boolean; readonly strikes: string | null },
): Promise<Seeded | null> {
  const tasks: string[] = [];
  const errors: string[] = [];
  for (const batch of batchesOf(seeds, { maxItems: BATCH_ITEMS })) {
    const args: ScriptArgument[] = [keys.prefix, isStarting ? 1 : '', strikes === null ? '' : `=${strikes}`];
    for (const { task, fingerprint, dueMs, retimedInMs, message, chain, priority } of batch) {
      const due = dueMs === null ? null : { atMs: dueMs };
      const retimed = retimedInMs === null ? due : { delayMs: retimedInMs };
      args.push(task, fingerprint, dueArgument(due), dueArgument(retimed), message, chain, priorityArgument(priority));
    }
    const reply = (await runScript(redis, 'seed', [keys.work, keys.front, keys.schedule], args)) as
      | [Buffer[], Buffer[]]
      | [];
    if (reply.length === 0) return null;
    tasks.push(...reply[0].map(String));
    errors.push(...reply[1].map(String));
  }
  return { tasks, errors };
}
