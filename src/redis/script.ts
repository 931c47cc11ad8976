/**
 * Runs the embedded scripts by their digest, and sends the source when the server does not have it (yet, or any more).
 */
import type { Redis } from 'ioredis';
import { isScriptUnknown } from './reply-errors.js';
import { SCRIPTS } from './scripts.generated.js';

export type ScriptName = keyof typeof SCRIPTS;
export type ScriptArgument = string | number | Buffer;

/** Returns the script's reply. Text comes as Buffers. */
export async function runScript(
  redis: Redis,
  name: ScriptName,
  keys: readonly string[],
  args: readonly ScriptArgument[],
): Promise<unknown> {
  const { sha, source } = SCRIPTS[name];
  try {
    return await redis.callBuffer('EVALSHA', [sha, keys.length, ...keys, ...args]);
  } catch (error) {
    if (!isScriptUnknown(error)) throw error;
    return await redis.callBuffer('EVAL', [source, keys.length, ...keys, ...args]);
  }
}
