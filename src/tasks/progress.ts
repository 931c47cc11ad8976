/** How far an execution is: as its body says it, as others read it, and what counts as valid on both sides. */
import { InvalidOptionError } from '../core/errors.js';

/**
 * `ctx.progress`: how far this attempt is. Everything is synchronous and costs nanoseconds, so a busy loop may call it in
 * every turn: others see it at most ten times a second, and exactly once the attempt has ended. An attempt starts at 0 of
 * 100, without a message. Its functions work destructured, too.
 */
export interface Progress {
  /** What this attempt has counted so far; what others added from outside is not in it. */
  readonly current: number;
  /** What `current` is measured against. @default 100 */
  readonly total: number;
  readonly message: string | null;
  /**
   * Counts up; beyond the total, too.
   * @param by - a whole number of at least 1. @default 1
   * @throws InvalidOptionError when it is not one, or the sum is no longer exact
   */
  readonly increment: (by?: number) => void;
  /**
   * Says what `current` is measured against.
   * @throws InvalidOptionError unless it is a whole number of at least 1
   */
  readonly setTotal: (total: number) => void;
  /**
   * Says in words how far it is; the first 1,000 characters are kept. `null` and the empty text take the message back.
   * @throws InvalidOptionError when it is neither text nor `null`
   */
  readonly setMessage: (message: string | null) => void;
}

/**
 * `execution.progress`: how far an execution is, as of the last `add`, `getExecution` or `sync()`, and after each call of
 * its functions. These are for helpers elsewhere, such as the parts a task was split into: each is one command to Redis, so
 * they are asynchronous, and what they count comes on top of what the body counts. Each attempt starts anew. An
 * execution that has ended keeps its final values for its `executionTtl`, and nothing changes them any more.
 */
export interface ExecutionProgress {
  readonly current: number;
  /** @default 100 */
  readonly total: number;
  readonly message: string | null;
  /** When it last changed; `null` when nothing was ever reported. */
  readonly updatedAt: Date | null;
  /**
   * Counts up.
   * @param by - a whole number of at least 1. @default 1
   * @throws InvalidOptionError when it is not one
   * @throws ExecutionNotFoundError when nothing is known of the execution any more
   * @throws ExecutionSupersededError when a newer execution took its key
   * @throws ResultsDisabledError when it was added with `executionTtl: 0`, which keeps no progress
   * @throws RedisUnavailableError when no answer came: whether it counted is then not known
   */
  increment(by?: number): Promise<void>;
  /** Says what `current` is measured against. @throws as `increment` does */
  setTotal(total: number): Promise<void>;
  /** Says in words how far it is; `null` takes the message back. @throws as `increment` does */
  setMessage(message: string | null): Promise<void>;
}

/** One change of progress from outside. */
export type ProgressChange =
  | { readonly kind: 'increment'; readonly by: number }
  | { readonly kind: 'total'; readonly total: number }
  | { readonly kind: 'message'; readonly message: string | null };

const MESSAGE_LENGTH = 1_000;

/** @throws InvalidOptionError unless `by` is a whole number of at least 1 */
export function checkIncrement(by: number): number {
  return isCount(by) ? by : refuse('progress.increment', by);
}

/** @throws InvalidOptionError unless `total` is a whole number of at least 1 */
export function checkTotal(total: number): number {
  return isCount(total) ? total : refuse('progress.setTotal', total);
}

/** Cuts a message to its length; no message is `null`. @throws InvalidOptionError unless it is text or `null` */
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
