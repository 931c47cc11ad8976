/** Decides whether a failed attempt is retried: one pure function, used wherever an attempt can fail. */
import type { Due } from '../core/due.js';
import { TimeoutError } from '../core/errors.js';
import type { RetryData, TaskPolicies } from './policies.js';

/** How an attempt failed. */
export type AttemptFailure =
  | {
      readonly kind: 'threw';
      /** False for errors that the next attempt would only meet again, such as a result that is too large. */
      readonly isRetryable: boolean;
    }
  /** The body left with `ctx.retry`. */
  | { readonly kind: 'requested-retry'; readonly due: Due };

/** What follows a failed attempt. */
export type Decision = { readonly kind: 'failed' } | { readonly kind: 'retry'; readonly due: Due };

/**
 * Decides what follows a failed attempt.
 * @param attempt - number of the attempt, from 1
 * @param random - returns a number from 0 to 1, for the jitter
 */
export function decide(
  policies: TaskPolicies,
  attempt: number,
  failure: AttemptFailure,
  random = Math.random,
): Decision {
  const { retry } = policies;
  if (!retry || !hasAttemptsLeft(retry, attempt)) return { kind: 'failed' };
  if (failure.kind === 'requested-retry') return { kind: 'retry', due: failure.due };
  return failure.isRetryable
    ? { kind: 'retry', due: { delayMs: delayAfter(retry, attempt, random) } }
    : { kind: 'failed' };
}

/** Returns the error of an attempt that took too long, whether the thread notices it or the coordinator. */
export function timeoutErrorOf(task: string, timeoutMs: number): TimeoutError {
  return new TimeoutError(`task '${task}' took longer than its timeout of ${timeoutMs} ms`);
}

function hasAttemptsLeft(retry: RetryData, attempt: number): boolean {
  return retry.attempts === null || attempt < retry.attempts;
}

function delayAfter(retry: RetryData, attempt: number, random: () => number): number {
  const delayMs = Math.min(retry.minimumDelayMs * retry.factor ** (attempt - 1), retry.maximumDelayMs);
  return delayMs * (1 - retry.jitter * random());
}
