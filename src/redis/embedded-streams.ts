/**
 * Finds entries in the streams of an embedded server by halving: the server's own commands compare all ids. Owns the rule
 * that the reply is the one of the server's own command, which makes it from the entries that were found.
 */

import { RedisResult, type RedisStreamData, RedisValue } from 'js-redis-server/core';
import { answerFrom, type Shortcut } from './embedded-shortcuts.js';

type Entries = RedisStreamData['entries'];
type Id = RedisStreamData['lastId'];

interface RangeArgs {
  readonly key: Buffer;
  readonly start: string;
  readonly end: string;
}

/** The commands that the scripts of docket look for single entries with. */
export const STREAM_SHORTCUTS: Readonly<Record<string, Shortcut>> = {
  xrange(plan, ctx) {
    const args = plan.args as RangeArgs;
    const [stream, start, end] = [ctx.db.getStream(args.key), readId(args.start), readId(args.end)];
    if (!stream || !start || !end) return undefined;
    const first = countBefore(stream.entries, start);
    const entries = stream.entries.slice(first, Math.max(first, countBefore(stream.entries, next(end))));
    return answerFrom(plan, ctx, args, { getStream: () => ({ ...stream, entries }) });
  },
  xdel(plan, ctx) {
    const { key, ids } = plan.args as { key: Buffer; ids: readonly string[] };
    const targets = ids.map(readId);
    if (!targets.every((id) => id !== null) || ctx.db.getType(key) !== 'stream') return undefined;
    const deleted = ctx.db.updateStream(key, (stream) => stream.trim((data) => removeEntries(data, targets)));
    return RedisResult.create(RedisValue.integer(deleted));
  },
};

/** Removes the entries with these ids, and returns how many there were. */
function removeEntries(stream: RedisStreamData, ids: readonly Id[]): number {
  let removed = 0;
  for (const id of ids) {
    const at = countBefore(stream.entries, id);
    if (at === stream.entries.length || isBefore(id, stream.entries[at]!.id)) continue;
    stream.entries.splice(at, 1);
    if (isBefore(stream.maxDeletedEntryId, id)) stream.maxDeletedEntryId = id;
    removed++;
  }
  return removed;
}

/** Reads a complete id. Short and open ones are left to the server. */
function readId(text: string): Id | null {
  const [, ms, seq] = /^(\d{1,19})-(\d{1,19})$/.exec(text) ?? [];
  return ms !== undefined && seq !== undefined ? { ms: BigInt(ms), seq: BigInt(seq) } : null;
}

function next({ ms, seq }: Id): Id {
  return { ms, seq: seq + 1n };
}

function isBefore(one: Id, other: Id): boolean {
  return one.ms < other.ms || (one.ms === other.ms && one.seq < other.seq);
}

/** How many entries have smaller ids. They come first: ids only grow. */
function countBefore(entries: Entries, id: Id): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(entries[middle]!.id, id)) low = middle + 1;
    else high = middle;
  }
  return low;
}
