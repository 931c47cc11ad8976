/**
 * Runs the embedded scripts by their digest, and sends the source when the server does not have it (yet, or any more).
 */
import type { Redis } from 'ioredis';
import { channelPrefix } from './keys.js';
import { isReplyError, isScriptUnknown } from './reply-errors.js';
import { SCRIPTS } from './scripts.generated.js';
import { type Connection, SHARDED } from './shard-channels.js';

export type ScriptName = keyof typeof SCRIPTS;
export type ScriptArgument = string | number | Buffer;

/**
 * Runs a script on keys of a docket. Behind them the script finds what the names of the docket's channels begin with
 * (`KEYS[#KEYS]`), because it cannot find out in which database it runs. Where the server has shard channels, it finds that
 * twice (`_publish.lua`). Returns its reply; text comes as Buffers.
 *
 * That name is a key that never exists. So while a slot moves to another node of a cluster, no node has all keys of a script,
 * and none runs it: a script cannot find half of the keys gone.
 */
export async function runScript(
  redis: Redis,
  name: ScriptName,
  keys: readonly string[],
  args: readonly ScriptArgument[],
): Promise<unknown> {
  const { sha, source } = SCRIPTS[name];
  const prefix = channelPrefix(keys[0]!, redis.options.db ?? 0);
  const names = [...keys, prefix];
  if ((redis as Connection)[SHARDED]) names.push(prefix);
  try {
    return await redis.callBuffer('EVALSHA', [sha, names.length, ...names, ...args]);
  } catch (error) {
    if (!isScriptUnknown(error)) throw withoutCommand(error);
  }
  try {
    return await redis.callBuffer('EVAL', [source, names.length, ...names, ...args]);
  } catch (error) {
    throw withoutCommand(error);
  }
}

/**
 * ioredis keeps the command in the error of its reply: the source of the script and all arguments, with those of tasks and their
 * results. Errors are printed and logged, which those are not for.
 */
function withoutCommand(error: unknown): unknown {
  if (isReplyError(error)) delete (error as { command?: unknown }).command;
  return error;
}
