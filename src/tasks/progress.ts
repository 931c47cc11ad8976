/** The progress of an execution: as its body reports it, as others read and change it, and the checks of both. */
import { InvalidOptionError } from '../core/errors.js';
import type { ProgressSummary } from './summary.js';

/**
 * `ctx.progress`: reports the progress of an attempt. All functions are synchronous and cost nanoseconds, so a busy
 * loop may call them in every turn. Others see the progress at most ten times a second, and its final values once the
 * attempt has ended. An attempt starts at 0 of 100, without a message. The functions work when destructured.
 */
export interface Progress {
  /** The count of this attempt so far, without increments from outside. */
  readonly current: number;
  /** The number that `current` is measured against. @default 100 */
  readonly total: number;
  readonly message: string | null;
  /**
   * Increments `current`, which may exceed the total.
   * @param by - a whole number of at least 1. @default 1
   * @throws InvalidOptionError when `by` is not one, or the sum would be greater than `Number.MAX_SAFE_INTEGER`
   */
  readonly increment: (by?: number) => void;
  /**
   * Sets the number that `current` is measured against.
   * @throws InvalidOptionError when it is not a whole number of at least 1
   */
  readonly setTotal: (total: number) => void;
  /**
   * Sets a message; only its first 1,000 characters are stored. `null` and the empty text remove it.
   * @throws InvalidOptionError when it is neither text nor `null`
   */
  readonly setMessage: (message: string | null) => void;
}

/**
 * `execution.progress`: the progress of an execution as of the last `add`, `getExecution` or `sync()`, or the last call of its own
 * functions. These functions are for code elsewhere, such as the parts into which a task was split. Each one is a command to
 * Redis, so they are asynchronous. Their increments are added to the count of the body. Each attempt starts at 0. An execution
 * that has ended keeps its final values for its `executionTtl`, and nothing can change them.
 */
export interface ExecutionProgress {
  /** The count of the body and of all increments from outside. */
  readonly current: number;
  /** The number that `current` is measured against. @default 100 */
  readonly total: number;
  readonly message: string | null;
  /** When the progress last changed; `null` when none was reported yet. */
  readonly updatedAt: Date | null;
  /**
   * Increments `current`.
   * @param by - a whole number of at least 1. @default 1
   * @throws InvalidOptionError when `by` is not one
   * @throws ExecutionNotFoundError when there is no such execution any more
   * @throws ExecutionSupersededError when a newer execution took its key
   * @throws ResultsDisabledError when it was added with `executionTtl: 0`, which keeps no progress
   * @throws RedisUnavailableError when Redis did not confirm the increment, which may or may not have been written
   */
  increment(by?: number): Promise<void>;
  /** Sets the number that `current` is measured against. @throws the same errors as `increment` */
  setTotal(total: number): Promise<void>;
  /** Sets the message; `null` removes it. @throws the same errors as `increment` */
  setMessage(message: string | null): Promise<void>;
  /** Returns what `JSON.stringify` shows of the progress: its fields. */
  toJSON(): ProgressSummary;
}

/** A change of progress from outside. */
export type ProgressChange =
  | { readonly kind: 'increment'; readonly by: number }
  | { readonly kind: 'total'; readonly total: number }
  | { readonly kind: 'message'; readonly message: string | null };

const MESSAGE_LENGTH = 1_000;

/** @throws InvalidOptionError when `by` is not a whole number of at least 1 */
export function checkIncrement(by: number): number {
  return isCount(by) ? by : refuse('progress.increment', by);
}

/** @throws InvalidOptionError when `total` is not a whole number of at least 1 */
export function checkTotal(total: number): number {
  return isCount(total) ? total : refuse('progress.setTotal', total);
}

/**
 * Cuts a message to 1,000 characters; empty text becomes `null`.
 * @throws InvalidOptionError when it is neither text nor `null`
 */
export function checkMessage(message: string | null): string | null {
  if (message === null || message === '') return null;
  if (typeof message === 'string') return message.slice(0, MESSAGE_LENGTH);
  throw new InvalidOptionError('progress.setMessage', `expected text or null, got ${typeof message}`);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function refuse(option: string, value: unknown): never {
  const given = typeof value === 'number' ? String(value) : typeof value;
  throw new InvalidOptionError(option, `expected a whole number of at least 1, got ${given}`);
}
