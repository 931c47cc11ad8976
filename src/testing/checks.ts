/**
 * Checks what tests pass to the assertions. Owns the rule that an expectation which nothing could meet is refused: an
 * assertion that must find nothing would hold with it.
 */
import { types } from 'node:util';
import { type Duration, toMs } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import { shown, wholeNumberOf } from '../core/options.js';
import type { Recorded } from './recording-docket.js';
import type { TestDocket } from './test-docket.js';

/** Known by what it has, since it may be of another copy of this package: a runner that resets its modules makes one. */
export function hasRecorded(source: unknown): source is Recorded {
  return isObject(source) && Array.isArray(source.added);
}

/**
 * Checks that it is a test docket, of this copy of the package or of another one.
 * @param wanted - what was expected, in words
 * @throws InvalidOptionError when it is not
 */
export function checkKit(source: unknown, wanted: string): asserts source is TestDocket<never> {
  if (isObject(source) && isDocket(source.docket)) return;
  const found = isDocket(source) ? 'a docket: pass the test docket itself, not its field docket' : shown(source);
  throw new InvalidOptionError('from', `expected ${wanted}, got ${found}`);
}

/** @throws InvalidOptionError naming the field that nothing could meet */
export function checkExpected(expected: {
  readonly args?: unknown;
  readonly key?: unknown;
  readonly when?: unknown;
  readonly times?: unknown;
  readonly error?: unknown;
}): void {
  const { args, key, when, times, error } = expected;
  if (args !== undefined && (!isObject(args) || Array.isArray(args))) {
    throw new InvalidOptionError('expected.args', `expected one object with named fields, got ${shown(args)}`);
  }
  if (key !== undefined && typeof key !== 'string') {
    throw new InvalidOptionError('expected.key', `expected text, got ${shown(key)}`);
  }
  if (when !== undefined) checkWhen(when);
  if (times !== undefined) wholeNumberOf(times, 0, 'expected.times');
  if (error !== undefined && typeof error !== 'string' && !types.isRegExp(error)) {
    throw new InvalidOptionError('expected.error', `expected text or a RegExp, got ${shown(error)}`);
  }
}

function checkWhen(when: unknown): void {
  if (!(when instanceof Date)) toMs(when as Duration, 'expected.when');
  else if (Number.isNaN(when.getTime())) throw new InvalidOptionError('expected.when', 'expected a valid date');
}

function isDocket(value: unknown): boolean {
  return isObject(value) && typeof value.schedules === 'function';
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
