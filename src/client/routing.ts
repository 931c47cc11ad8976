/**
 * Decides to which partition an execution belongs. Producers place it there. A worker that reads it in another partition moves it
 * there.
 *
 * Owns the rule for this, which is part of the wire format: all producers and workers of a docket must get the same answer.
 *
 * - An execution of a task with limits belongs where its limits count. So limits are exact, and the script that admits an execution
 *   is atomic. If all limits of the task name one argument and have one scope, the value of that argument decides. Otherwise the
 *   scope decides if all have the same one, and else the name of the task.
 * - Any other execution with a key belongs where its key leads, so the first one under a key wins in the whole docket.
 *   The key of an automatic chain is the name of its task.
 * - Without limits and without a key, an execution may be anywhere.
 */
import { crc32 } from 'node:zlib';
import { UndecodableValueError } from '../core/errors.js';
import { nameOfValue, scopeOfLimit } from '../tasks/limit-names.js';
import type { LimitData } from '../tasks/policies.js';
import { pickArguments } from '../wire/pick.js';

/** The parts of an execution that decide where it belongs. */
export interface Routed {
  readonly task: string;
  /** `null` when the execution was given no key. An id is not a key. */
  readonly key: string | null;
  /** The limits of its task; `undefined` when they are not known. */
  readonly limits: readonly LimitData[] | undefined;
  /** Returns its encoded arguments. */
  args(): Uint8Array;
}

/** Returns the route of an execution; `null` when it may be in any partition. */
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

/** Returns the name of a value; `null` when it is missing or not a scalar. Such an execution fails in any partition. */
function namedValue(args: Uint8Array, argument: string): string | null {
  try {
    const picked = pickArguments(args, [argument]).get(argument);
    return picked && picked.type !== 'other' ? nameOfValue(picked) : null;
  } catch (error) {
    if (error instanceof UndecodableValueError) return null;
    throw error;
  }
}
