/**
 * Overrides: policies that one execution has in place of its task's. Owns how they are checked, how they travel in the message
 * (as JSON text, `wire/envelope.ts`), and how coordinator and thread merge them with the policies of the task.
 */
import type { Duration } from '../core/duration.js';
import { InvalidOptionError, UndecodableValueError } from '../core/errors.js';
import { wholeNumberOf } from '../core/options.js';
import { checkCron } from './cron.js';
import type { PerpetualData, PerpetualPolicy } from './perpetual.js';
import { checkCombination, type PolicyOptions, resolvePolicies, type TaskPolicies } from './policies.js';
import type { RetryData, RetryPolicy } from './retry.js';

/**
 * Policies of one execution, which override those that its task declares. They apply to all its attempts and all runs of its
 * chain. Workers of a version that does not know them leave the execution to others.
 */
export interface PolicyOverrides {
  /**
   * How this execution is retried.
   * @default as its task declares
   */
  readonly retry?: RetryPolicy;
  /**
   * How long each phase of an attempt of this execution may take, more than 0.
   * @default as its task declares
   */
  readonly timeout?: Duration;
  /**
   * Runs this execution again and again under its key: a schedule. `replace` replaces it, `cancel` ends it, and
   * `docket.schedules()` lists it. The first run is due at `when`; without it, at the first match of a cron expression, and at
   * once with `perpetual()`. It cannot be `automatic`, and its task must have no `debounce()`.
   * @default as its task declares
   */
  readonly perpetual?: PerpetualPolicy;
  /**
   * Ends the chain: no run is due later than this. Requires a perpetual policy, here or of the task.
   * @default the chain does not end by itself
   */
  readonly until?: Date;
  /**
   * How many runs the chain has, at least 1. A run counts whether it completes or fails. A run that a limit or a strike skips
   * does not count. Requires a perpetual policy, here or of the task.
   * @default the chain does not end by itself
   */
  readonly times?: number;
}

/** The policies of one execution: those of its task, and its overrides. */
export interface ExecutionPolicies extends TaskPolicies {
  /** No run is due later than this, in server milliseconds. */
  readonly untilMs?: number;
  /** How many runs of the chain are left, this one included. */
  readonly runsLeft?: number;
  /** Whether its perpetual policy is an override. Then a deploy of its task does not change when it runs. */
  readonly isOwnSchedule?: true;
}

/** Overrides as they travel. */
interface OverrideData {
  readonly retry?: RetryData;
  readonly timeoutMs?: number;
  readonly perpetual?: PerpetualData;
  readonly untilMs?: number;
  readonly runsLeft?: number;
}

/** Overrides of a call, checked. */
export interface ResolvedOverrides {
  /** The overrides as they travel. */
  readonly text: string;
  /** The policies that the execution has as far as the producer knows its task. */
  readonly policies: ExecutionPolicies;
}

/** The names of the overrides among the options of a call. */
export const OVERRIDE_NAMES = {
  retry: true,
  timeout: true,
  perpetual: true,
  until: true,
  times: true,
} as const satisfies Record<keyof PolicyOverrides, true>;

/** The size of a text of overrides. Only a cron expression with many values comes near it. */
const MAXIMUM_OVERRIDES_BYTES = 1_024;

/** Whether a call has overrides. */
export function hasOverrides({ retry, timeout, perpetual, until, times }: PolicyOverrides): boolean {
  return (
    retry !== undefined ||
    timeout !== undefined ||
    perpetual !== undefined ||
    until !== undefined ||
    times !== undefined
  );
}

/**
 * Checks the overrides of a call, each by itself and against the policies of its task.
 * @param declared - the policies of the task; `null` when the producer has it by name only, so that workers check this
 * @throws InvalidOptionError naming the option that cannot be used
 */
export function resolveOverrides(overrides: PolicyOverrides, declared: TaskPolicies | null): ResolvedOverrides {
  const { retry, timeout, perpetual, until, times } = overrides;
  if (perpetual?.isAutomatic) {
    throw new InvalidOptionError(
      'perpetual',
      'leave `automatic` out: only a task that declares it is started by workers',
    );
  }
  const given: PolicyOptions = { retry, timeout, perpetual };
  const { retry: retryData, timeoutMs, perpetual: perpetualData } = resolvePolicies(given);
  const data: OverrideData = {
    ...(retryData && { retry: retryData }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(perpetualData && { perpetual: perpetualData }),
    ...(until !== undefined && { untilMs: untilMsOf(until) }),
    ...(times !== undefined && { runsLeft: wholeNumberOf(times, 1, 'times') }),
  };
  checkMade(data);
  const policies = merged(declared ?? {}, data);
  checkCombination(policies);
  checkChain(policies, overrides, declared !== null);
  return { text: textOf(data), policies };
}

/**
 * Returns the policies of an execution: those of its task, and in their place its overrides.
 * @param overrides - as they travel; `null` for none
 * @throws UndecodableValueError when the text is not one of overrides, or its time zone is unknown here
 */
export function policiesWith(declared: TaskPolicies, overrides: string | null): ExecutionPolicies {
  return overrides === null ? declared : merged(declared, parse(overrides));
}

/** Returns the overrides of the next run of a chain that counts its runs: one less is left. */
export function overridesOfNextRun(overrides: string): string {
  const data = parse(overrides);
  return textOf({ ...data, runsLeft: data.runsLeft! - 1 });
}

function merged(declared: TaskPolicies, data: OverrideData): ExecutionPolicies {
  const { perpetual, ...others } = data;
  if (!perpetual) return { ...declared, ...others };
  // An automatic task's chain stays one, so that it is not started again once somebody has ended it.
  const isAutomatic = declared.perpetual?.isAutomatic ?? false;
  return { ...declared, ...others, perpetual: { ...perpetual, isAutomatic }, isOwnSchedule: true };
}

/** Policies that were not made by their functions may have anything in them, which workers would refuse. */
function checkMade({ retry, perpetual }: OverrideData): void {
  if (retry && !isRetryData(retry)) {
    throw new InvalidOptionError('retry', 'expected a policy made with retry() or exponentialRetry()');
  }
  if (perpetual && !isPerpetualData(perpetual)) {
    throw new InvalidOptionError('perpetual', 'expected a policy made with perpetual() or cron()');
  }
}

function checkChain({ perpetual }: ExecutionPolicies, { until, times }: PolicyOverrides, isTaskKnown: boolean): void {
  if (perpetual || !isTaskKnown || (until === undefined && times === undefined)) return;
  const option = until === undefined ? 'times' : 'until';
  throw new InvalidOptionError(option, 'it ends a chain, but the task runs once: pass `perpetual`, too');
}

function untilMsOf(until: Date): number {
  if (until instanceof Date && !Number.isNaN(until.getTime())) return until.getTime();
  throw new InvalidOptionError('until', 'expected a valid date');
}

/** @throws InvalidOptionError when the text is too long for the header of a message */
function textOf(data: OverrideData): string {
  const text = JSON.stringify(data);
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAXIMUM_OVERRIDES_BYTES) return text;
  const problem = `the overrides take ${bytes} bytes, more than ${MAXIMUM_OVERRIDES_BYTES}: use a shorter expression`;
  throw new InvalidOptionError('perpetual', problem);
}

/** Anybody may have written the message, so every value is checked. Values that this version does not know are left alone. */
function parse(text: string): OverrideData {
  try {
    const data = JSON.parse(text) as OverrideData;
    if (isOverrideData(data)) return data;
  } catch {} // not JSON, or with an expression that is none here
  throw new UndecodableValueError('the overrides of the execution cannot be read');
}

function isOverrideData(data: unknown): data is OverrideData {
  if (typeof data !== 'object' || data === null) return false;
  const { retry, timeoutMs, perpetual, untilMs, runsLeft } = data as Record<keyof OverrideData, unknown>;
  return (
    (retry === undefined || isRetryData(retry)) &&
    (timeoutMs === undefined || isFiniteFrom(1, timeoutMs)) &&
    (perpetual === undefined || isPerpetualData(perpetual)) &&
    (untilMs === undefined || Number.isFinite(untilMs)) &&
    (runsLeft === undefined || isWholeFrom(1, runsLeft))
  );
}

function isRetryData(value: unknown): value is RetryData {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, attempts, minimumDelayMs, maximumDelayMs, factor, jitter } = value as Record<string, unknown>;
  const isLimited = attempts === null || isWholeFrom(1, attempts);
  const hasDelays = isFiniteFrom(0, minimumDelayMs) && isFiniteFrom(0, maximumDelayMs) && isFiniteFrom(1, factor);
  return kind === 'retry' && isLimited && hasDelays && isFiniteFrom(0, jitter) && (jitter as number) <= 1;
}

/** @throws InvalidOptionError for an expression that is not one, or a time zone that is unknown here */
function isPerpetualData(value: unknown): value is PerpetualData {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, everyMs, expression, timezone } = value as Record<string, unknown>;
  if (kind === 'perpetual') return isFiniteFrom(0, everyMs);
  if (kind !== 'cron' || typeof expression !== 'string' || typeof timezone !== 'string') return false;
  checkCron(expression, timezone);
  return true;
}

function isFiniteFrom(minimum: number, value: unknown): boolean {
  return Number.isFinite(value) && (value as number) >= minimum;
}

function isWholeFrom(minimum: number, value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= minimum;
}
