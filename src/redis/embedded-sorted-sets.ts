/**
 * Finds its way in the sorted sets of an embedded server by halving. The server's own commands sort all members each time
 * they look for some, which makes a rate limit or a schedule with thousands of members slow. Owns the rule that the reply is
 * the one of the server's own command, which makes it from the members that were found.
 */

import { type RedisExecutionContext, RedisResult, type RedisSortedSetMember, RedisValue } from 'js-redis-server/core';
import { answerFrom, type Shortcut } from './embedded-shortcuts.js';

/** The members of a sorted set by their hexadecimal names; `inOrder` has them in the order of the set. */
export class SortedMembers extends Map<string, RedisSortedSetMember> {
  readonly #inOrder: RedisSortedSetMember[] = [];

  get inOrder(): readonly RedisSortedSetMember[] {
    return this.#inOrder;
  }

  override set(id: string, member: RedisSortedSetMember): this {
    this.delete(id);
    this.#inOrder.splice(this.rank(member), 0, member);
    return super.set(id, member);
  }

  override delete(id: string): boolean {
    const member = this.get(id);
    if (member === undefined) return false;
    this.#inOrder.splice(this.rank(member), 1);
    return super.delete(id);
  }

  override clear(): void {
    this.#inOrder.length = 0;
    super.clear();
  }

  /** How many members come before this one. */
  rank({ score, member }: RedisSortedSetMember): number {
    return this.#count(
      (other) => other.score < score || (other.score === score && Buffer.compare(other.member, member) < 0),
    );
  }

  /** How many members have a lower score, or the same when `orEqual`. */
  countBelow({ score, orEqual }: Bound): number {
    return this.#count((other) => other.score < score || (orEqual && other.score === score));
  }

  /** How many members are before the first that is not: all that are must come first. */
  #count(isBefore: (member: RedisSortedSetMember) => boolean): number {
    let [low, high] = [0, this.#inOrder.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(this.#inOrder[middle]!)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A place among scores: before a score, or behind it when `orEqual`. */
interface Bound {
  readonly score: number;
  readonly orEqual: boolean;
}

interface ZrangeArgs {
  readonly key: Buffer;
  readonly min: Buffer;
  readonly max: Buffer;
  readonly by: 'index' | 'score' | 'lex';
  readonly rev: boolean;
  readonly limit?: { readonly offset: number; readonly count: number } | undefined;
}

interface RankArgs {
  readonly key: Buffer;
  readonly start: number;
  readonly stop: number;
}

/** The commands that the scripts of docket look into large sorted sets with. */
export const SORTED_SET_SHORTCUTS: Readonly<Record<string, Shortcut>> = {
  zrange(plan, ctx) {
    const args = plan.args as ZrangeArgs;
    const rangeIn = args.by === 'index' ? byIndex(args) : args.by === 'score' ? byScore(args) : null;
    const members = rangeIn && sortedMembers(ctx, args.key);
    if (!members) return undefined;
    const range = rangeIn(members);
    const rest = args.by === 'index' ? { min: Buffer.from('0'), max: Buffer.from('-1') } : { limit: undefined };
    return answerFrom(plan, ctx, { ...args, ...rest }, only(members.inOrder.slice(...range)));
  },
  zrevrange(plan, ctx) {
    const args = plan.args as RankArgs;
    const members = sortedMembers(ctx, args.key);
    if (!members) return undefined;
    const [first, end] = ranks(args.start, args.stop, members.size);
    const found = members.inOrder.slice(members.size - end, members.size - first);
    return answerFrom(plan, ctx, { ...args, start: 0, stop: -1 }, only(found));
  },
  zcount(plan, ctx) {
    const { key, min, max } = plan.args as { key: Buffer; min: string; max: string };
    const [low, high] = [lowest(min), highest(max)];
    const members = low && high && sortedMembers(ctx, key);
    if (!members) return undefined;
    return integer(Math.max(0, members.countBelow(high) - members.countBelow(low)));
  },
  zrevrank(plan, ctx) {
    const { key, member, withScore } = plan.args as { key: Buffer; member: Buffer; withScore: boolean };
    const members = sortedMembers(ctx, key);
    const found = members?.get(member.toString('hex'));
    return members && found && !withScore ? integer(members.size - 1 - members.rank(found)) : undefined;
  },
  zremrangebyrank(plan, ctx) {
    const { key, start, stop } = plan.args as RankArgs;
    const members = sortedMembers(ctx, key);
    if (!members) return undefined;
    const found = members.inOrder.slice(...ranks(start, stop, members.size));
    ctx.db.updateSortedSet(key, (set) => {
      for (const { member } of found) set.deleteMember(member);
    });
    return integer(found.length);
  },
};

/** The members under a key; `null` where there are none, or where the server has made the set by itself. */
function sortedMembers(ctx: RedisExecutionContext, key: Buffer): SortedMembers | null {
  const members = ctx.db.getSortedSet(key)?.members;
  return members instanceof SortedMembers ? members : null;
}

type Range = [first: number, end: number];

/** The range that a command with two ranks asks for; ranks below 0 count from the end. */
function ranks(start: number, stop: number, size: number): Range {
  const first = start < 0 ? Math.max(0, size + start) : Math.min(start, size);
  const last = stop < 0 ? size + stop : Math.min(stop, size - 1);
  return [first, Math.max(first, last + 1)];
}

/** Finds a range among members. */
type RangeIn = (members: SortedMembers) => Range;

// These return `null` for arguments that the server may refuse. It reads them before it looks at the key.

function byIndex({ min, max, rev }: ZrangeArgs): RangeIn | null {
  const [start, stop] = [index(min.toString()), index(max.toString())];
  if (start === null || stop === null) return null;
  return ({ size }) => {
    const [first, end] = ranks(start, stop, size);
    return rev ? [size - end, size - first] : [first, end];
  };
}

function byScore({ min, max, rev, limit }: ZrangeArgs): RangeIn | null {
  const [low, high] = [lowest((rev ? max : min).toString()), highest((rev ? min : max).toString())];
  if (!low || !high || (limit && limit.offset < 0)) return null;
  return (members) => {
    const first = members.countBelow(low);
    const end = Math.max(first, members.countBelow(high));
    if (!limit) return [first, end];
    const { offset, count } = limit;
    const length = count < 0 ? Number.POSITIVE_INFINITY : count;
    return rev
      ? [Math.max(first, end - offset - length), Math.max(first, end - offset)]
      : [Math.min(end, first + offset), Math.min(end, first + offset + length)];
  };
}

function index(text: string): number | null {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : null;
}

function lowest(text: string): Bound | null {
  return bound(text, true);
}

function highest(text: string): Bound | null {
  return bound(text, false);
}

/** Reads a score as Redis does: `(` leaves the score itself out. Anything unusual is left to the server. */
function bound(text: string, isLowest: boolean): Bound | null {
  const [, open, score] = /^(\(?)([+-]inf|-?\d+(?:\.\d+)?)$/.exec(text) ?? [];
  if (score === undefined) return null;
  const isLeftOut = open === '(';
  return { score: Number(score.replace('inf', 'Infinity')), orEqual: isLowest === isLeftOut };
}

/** A database with the found members alone. */
function only(found: readonly RedisSortedSetMember[]) {
  const members = new Map(found.map((member, i) => [String(i), member]));
  return { getSortedSet: () => ({ type: 'zset' as const, members }) };
}

function integer(value: number): RedisResult {
  return RedisResult.create(RedisValue.integer(value));
}
