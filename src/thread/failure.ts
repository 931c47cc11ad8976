/** From what an attempt threw to its outcome. */
import { types } from 'node:util';
import type { Outcome } from '../channel/protocol.js';
import {
  InvalidArgumentsError,
  ResultTooLargeError,
  RetriesExhaustedError,
  UndecodableValueError,
  UnencodableValueError,
} from '../core/errors.js';
import { type BodyEnd, decide } from '../tasks/decide.js';
import { encodeError } from '../wire/codec.js';
import type { Attempt } from './attempt.js';
import { RetryRequest } from './context.js';

/** What follows an attempt that failed with `error`. */
export function failureOf(attempt: Attempt, error: unknown): Outcome {
  const { task, attempt: number } = attempt.envelope;
  const ending = endingOf(error);
  const decision = decide(attempt.task.policies, number, ending);
  if (decision.kind === 'retry') return { kind: 'retry', due: decision.due, line: lineOf(error) };
  const final = ending.kind === 'asked' ? new RetriesExhaustedError(task, number) : error;
  const bytes = new Uint8Array(encodeError(final)); // a copy: not the pool
  const next = attempt.saidOfNextRun?.said;
  return { kind: 'failed', error: bytes, line: lineOf(final), ...(next && { next }) };
}

/** What the next attempt would only meet again. */
const FINAL_ERRORS = [InvalidArgumentsError, ResultTooLargeError, UnencodableValueError, UndecodableValueError];

function endingOf(error: unknown): BodyEnd {
  if (types.isProxy(error)) return { kind: 'threw', isRetryable: true }; // `instanceof` would run its traps
  if (error instanceof RetryRequest) return { kind: 'asked', due: error.due };
  const isRetryable = !FINAL_ERRORS.some((final) => error instanceof final);
  return { kind: 'threw', isRetryable };
}

/** The error in one line, for records and logs. */
export function lineOf(error: unknown): string {
  try {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return text.split('\n', 1)[0]!.slice(0, 500);
  } catch {
    return 'an error that cannot be shown';
  }
}
