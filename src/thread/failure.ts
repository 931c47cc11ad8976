/** Turns the error of an attempt into its outcome. */
import { types } from 'node:util';
import type { Outcome } from '../channel/protocol.js';
import { monotonicMs } from '../core/clock.js';
import {
  InvalidArgumentsError,
  ResultTooLargeError,
  RetriesExhaustedError,
  UndecodableValueError,
  UnencodableValueError,
} from '../core/errors.js';
import { type AttemptFailure, decide } from '../tasks/decide.js';
import { encodeError } from '../wire/codec.js';
import type { Attempt } from './attempt.js';
import { RetryRequest } from './context.js';

/** Returns the outcome of an attempt that failed with `error`: a retry, or failed for good. */
export function failureOf(attempt: Attempt, error: unknown): Outcome {
  const { task, attempt: number } = attempt.envelope;
  const failure = classify(error);
  const decision = decide(attempt.policies, number, failure);
  if (decision.kind === 'retry') return { kind: 'retry', due: decision.due, line: lineOf(error) };
  const final = failure.kind === 'requested-retry' ? new RetriesExhaustedError(task, number) : error;
  const bytes = new Uint8Array(encodeError(final)); // a copy, because the encoder's memory is used again
  const next = attempt.nextRunOverride;
  const thread = attempt.scope.worker.threadId;
  const details = { name: nameOf(final), thread, tookMs: monotonicMs() - attempt.startedMs };
  return { kind: 'failed', error: bytes, line: lineOf(final), details, ...(next && { next }) };
}

/** Returns the name of an error, 100 characters at most; '' for anything else. */
function nameOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.name).slice(0, 100) : '';
  } catch {
    return '';
  }
}

/** Errors that the next attempt would only meet again. */
const FINAL_ERRORS = [InvalidArgumentsError, ResultTooLargeError, UnencodableValueError, UndecodableValueError];

function classify(error: unknown): AttemptFailure {
  if (types.isProxy(error)) return { kind: 'threw', isRetryable: true }; // `instanceof` would run its traps
  if (error instanceof RetryRequest) return { kind: 'requested-retry', due: error.due };
  const isRetryable = !FINAL_ERRORS.some((final) => error instanceof final);
  return { kind: 'threw', isRetryable };
}

/** Returns the error in one line of at most 500 characters, for records and logs. */
export function lineOf(error: unknown): string {
  try {
    const text = error instanceof Error ? titleOf(error) : String(error);
    return text.split('\n', 1)[0]!.slice(0, 500);
  } catch {
    return 'an error that cannot be shown';
  }
}

/** As `Error.prototype.toString` does: an error without a message is its name, without a colon. */
function titleOf({ name, message }: Error): string {
  return message === '' ? name : `${name}: ${message}`;
}
