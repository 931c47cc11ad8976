/** The chains of automatic tasks: which of them were started, under which policy, and which were ended. */
import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';
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
}

/**
 * Starts the chains that nobody has started or that were lost, once for the whole fleet; answers with their names. When a
 * worker starts (`isStarting`), pending runs whose policy has changed get their new time.
 */
export async function seedChains(
  redis: Redis,
  keys: Keys,
  seeds: readonly Seed[],
  isStarting: boolean,
): Promise<string[]> {
  const args: ScriptArgument[] = [keys.prefix, isStarting ? 1 : ''];
  for (const { task, fingerprint, dueMs, retimedInMs, message } of seeds) {
    args.push(task, fingerprint, dueMs ?? '', retimedInMs ?? '', message);
  }
  const reply = (await runScript(redis, 'seed', [keys.work, keys.front, keys.schedule], args)) as Buffer[];
  return reply.map(String);
}
