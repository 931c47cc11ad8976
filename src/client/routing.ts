/**
 * Says to which partition an execution belongs. Producers place it there; a worker that claims it elsewhere moves it there.
 *
 * Owns the rule, which is part of the wire: all producers and workers of a docket must come to the same answer.
 *
 * - A task with limits: where its limits count. So a limit is exact, and a script that admits an execution is atomic. That is
 *   the value when all limits of the task name one argument and have one scope; else the scope when they have one; else the task.
 * - Otherwise the key decides, so that the first one wins in the whole docket. An automatic chain has the name of its task for
 *   a key.
 * - Without limits and without a key, an execution may be anywhere.
 */
import { crc32 } from 'node:zlib';
import { UndecodableValueError } from '../core/errors.js';
import { nameOfValue, scopeOfLimit } from '../tasks/limit-names.js';
import type { LimitData } from '../tasks/policies.js';
import { pickArguments } from '../wire/pick.js';

/** An execution, as far as it decides about its place. */
export interface Routed {
  readonly task: string;
  /** `null` when it was given none: an id is none. */
  readonly key: string | null;
  /** The limits of its task, as far as they are known. */
  readonly limits: readonly LimitData[] | undefined;
  /** Returns its encoded arguments. */
  args(): Uint8Array;
}

/** Returns the text that decides about the place of an execution; `null` when it may be anywhere. */
export function routeOf({ task, key, limits, args }: Routed): string | null {
  if (!limits || limits.length === 0) return key;
  const scopes = new Set(limits.map((limit) => scopeOfLimit(task, limit)));
  const [scope] = scopes;
  if (scopes.size > 1) return encodeURIComponent(task);
  const names = new Set(limits.map(({ argument }) => argument));
  const [argument] = names;
  if (names.size > 1 || argument === null) return scope!;
  const value = namedValue(args(), argument!);
  return value === null ? scope! : `${scope}:${value}`;
}

/** Returns the number of the partition to which a route leads: the CRC-32 of its UTF-8 bytes, modulo the number of partitions. */
export function partitionOf(route: string, partitions: number): number {
  return partitions === 1 ? 0 : crc32(route) % partitions;
}

/** Returns the name of a value; `null` when it is missing or not a scalar: such an execution fails, wherever it is. */
function namedValue(args: Uint8Array, argument: string): string | null {
  try {
    const picked = pickArguments(args, [argument]).get(argument);
    return picked && picked.type !== 'other' ? nameOfValue(picked) : null;
  } catch (error) {
    if (error instanceof UndecodableValueError) return null;
    throw error;
  }
}
