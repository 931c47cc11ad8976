/**
 * The names under which limits count. They are the same in every worker and version, and say in which partition a limited
 * execution belongs:
 *
 *   task                 the task as a whole           task:argument:value    one value of an argument
 *   @scope               the scope as a whole          @scope:value           one value, whatever its argument
 *
 * Each part is percent-encoded, so a name has no spaces, no task can pass for a scope, and no value for a part. Values
 * are told apart by type (`s=1`, `n=1`, `i=1`); long ones are hashed.
 */
import { createHash } from 'node:crypto';
import { assertNever } from '../core/assert.js';
import type { Picked } from '../wire/pick.js';
import type { LimitData } from './limits.js';

/** A value that a limit can count by. */
export type Scalar = Exclude<Picked, { type: 'other' }>;

/** A value of more bytes is hashed. */
const MAXIMUM_VALUE_BYTES = 64;
/** Stands for the fallback, whose empty name the server's lists of names could not hold. No task is encoded like this. */
const OF_FALLBACK = '%';
/** Half a surrogate pair cannot be percent-encoded. */
const UNSAFE = /\p{Cs}/u;

/** Returns the name of a limit, without the value of its argument. */
export function prefixOfLimit(task: string, limit: LimitData): string {
  const scope = scopeOfLimit(task, limit);
  const isShared = limit.kind === 'concurrency' && limit.scope !== null;
  return isShared || limit.argument === null ? scope : `${scope}:${encodeURIComponent(limit.argument)}`;
}

/** Returns the name of what shares a limit: its scope, or the task. */
export function scopeOfLimit(task: string, limit: LimitData): string {
  if (limit.kind === 'concurrency' && limit.scope !== null) return `@${encodeURIComponent(limit.scope)}`;
  return encodeURIComponent(task) || OF_FALLBACK;
}

/** Names a value, as the last part of the name of its limit. */
export function nameOfValue(scalar: Scalar): string {
  switch (scalar.type) {
    case 'string':
      return part('s', scalar.value);
    case 'number':
      return part('n', String(scalar.value)); // -0 counts as 0, as it equals it
    case 'bigint':
      return part('i', scalar.value.toString(16)); // hexadecimal takes linear time, however long it is
    case 'boolean':
      return part('b', String(scalar.value));
    case 'date':
      return part('d', String(scalar.value));
    case 'null':
      return 'null';
    default:
      return assertNever(scalar);
  }
}

function part(tag: string, text: string): string {
  const isShort = text.length <= MAXIMUM_VALUE_BYTES && Buffer.byteLength(text) <= MAXIMUM_VALUE_BYTES;
  if (isShort && !UNSAFE.test(text)) return `${tag}=${encodeURIComponent(text)}`;
  return `h=${createHash('sha256')
    .update(Buffer.from(`${tag}=${text}`, 'utf16le'))
    .digest('base64url')}`;
}
