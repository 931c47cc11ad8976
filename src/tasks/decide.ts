/** Decides what follows the end of an attempt: one pure function, used wherever an attempt can end. */
import type { Due } from '../core/due.js';
import { TimeoutError } from '../core/errors.js';
import type { RetryData, TaskPolicies } from './policies.js';

/** How the body ended. */
export type BodyEnd =
  | { readonly kind: 'returned' }
  | {
      readonly kind: 'threw';
      /** False for errors that the next attempt would only meet again, such as a result that is too large. */
      readonly isRetryable: boolean;
    }
  /** The body asked for another attempt. */
  | { readonly kind: 'asked'; readonly due: Due };

export type Decision =
  | { readonly kind: 'completed' }
  | { readonly kind: 'failed' }
  | { readonly kind: 'retry'; readonly due: Due };

/** `random` is drawn from 0..1 for the jitter. */
export function decide(policies: TaskPolicies, attempt: number, ending: BodyEnd, random = Math.random): Decision {
  if (ending.kind === 'returned') return { kind: 'completed' };
  const { retry } = policies;
  if (!retry || !hasAttemptsLeft(retry, attempt)) return { kind: 'failed' };
  if (ending.kind === 'asked') return { kind: 'retry', due: ending.due };
  return ending.isRetryable
    ? { kind: 'retry', due: { delayMs: delayAfter(retry, attempt, random) } }
    : { kind: 'failed' };
}

/** What an attempt fails with that took too long, be it the thread that notices or the coordinator. */
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
