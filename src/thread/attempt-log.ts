/** Logs the start and the end of an attempt. Arguments are private unless the task lists them in `logged`. */
import { inspect } from 'node:util';
import type { Outcome } from '../channel/protocol.js';
import { monotonicMs } from '../core/clock.js';
import type { LoggedArguments } from '../tasks/task.js';
import type { Attempt } from './attempt.js';

const LONGEST_VALUE = 100;

/** Logs that an attempt starts, and how late it is. Returns the text that names the call, for `logEnd`. */
export function logStart(attempt: Attempt, args: unknown): string {
  const call = `${attempt.envelope.task}(${argumentsOf(args, attempt.task.logged ?? {})})`;
  const punctualityMs = Math.max(0, Math.round(Date.now() - attempt.item.dueMs));
  attempt.logger.debug({ punctualityMs }, `${call} starts`);
  return call;
}

/** Logs how an attempt ended, how long it took, and the stack of its error. */
export function logEnd(attempt: Attempt, call: string, outcome: Outcome): void {
  const durationMs = Math.round((monotonicMs() - attempt.startedMs) * 1_000) / 1_000;
  const hasFailed = outcome.kind === 'failed' || outcome.kind === 'retry';
  const stack = hasFailed ? stackOf(attempt.failure?.error) : undefined;
  attempt.logger.debug({ durationMs, ...(stack && { stack }) }, `${call} ${endOf(outcome)}`);
}

/** Reads the stack of a thrown value, which may be anything and may throw when it is read. */
function stackOf(error: unknown): string | undefined {
  try {
    return error instanceof Error && error.stack ? String(error.stack) : undefined;
  } catch {
    return undefined;
  }
}

function endOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'failed':
      return `failed: ${outcome.line}`;
    case 'retry':
      return `failed and is retried: ${outcome.line}`;
    case 'cancelled':
      return 'was cancelled';
    case 'interrupted':
      return 'was interrupted';
    default:
      return 'completed';
  }
}

/** Describes the arguments: those that may be shown, and dots for all others. */
function argumentsOf(args: unknown, logged: LoggedArguments): string {
  if (typeof args !== 'object' || args === null) return '...';
  const shown = Object.entries(logged).map(([name, how]) => {
    const value: unknown = Reflect.get(args, name);
    return `${name}=${how === 'value' ? textOf(value) : `<${lengthOf(value)}>`}`;
  });
  const hasMore = Object.keys(args).some((name) => !Object.hasOwn(logged, name));
  return [...shown, ...(hasMore ? ['...'] : [])].join(', ');
}

function textOf(value: unknown): string {
  const text = inspect(value, {
    depth: 1,
    breakLength: Number.POSITIVE_INFINITY,
    maxArrayLength: 5,
    maxStringLength: 80,
  });
  const line = text.replace(/\s*\n\s*/g, ' ');
  return line.length > LONGEST_VALUE ? `${line.slice(0, LONGEST_VALUE - 1)}…` : line;
}

/** Returns the length or size of a value, or its number of fields when it has neither. */
function lengthOf(value: unknown): string {
  if (typeof value === 'string') return String(value.length);
  if (typeof value !== 'object' || value === null) return '?';
  const { length, size, byteLength } = value as { length?: unknown; size?: unknown; byteLength?: unknown };
  const count = [length, size, byteLength].find((it) => typeof it === 'number');
  return String(count ?? Object.keys(value).length);
}
