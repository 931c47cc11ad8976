/** Policies: plain data, which is checked where a task is declared, and sent to the coordinator in the manifest. */
import { type Duration, toMs } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkPriority, type Priority } from '../core/priority.js';
import { checkLimits, type LimitData, type LimitPolicy } from './limits.js';
import type { PerpetualData, PerpetualPolicy } from './perpetual.js';
import type { RetryData, RetryPolicy } from './retry.js';

export {
  type ConcurrencyLimitOptions,
  type CooldownOptions,
  concurrencyLimit,
  cooldown,
  type DebounceOptions,
  debounce,
  type LimitData,
  type LimitPolicy,
  type RateLimitOptions,
  rateLimit,
} from './limits.js';
export {
  type CronOptions,
  cron,
  type PerpetualData,
  type PerpetualOptions,
  type PerpetualPolicy,
  perpetual,
} from './perpetual.js';
export {
  type ExponentialRetryOptions,
  exponentialRetry,
  type RetryData,
  type RetryOptions,
  type RetryPolicy,
  retry,
} from './retry.js';

/** All policies of a task. Structured-cloneable. */
export interface TaskPolicies {
  readonly retry?: RetryData;
  readonly perpetual?: PerpetualData;
  readonly timeoutMs?: number;
  readonly limits?: readonly LimitData[];
  readonly priority?: Priority;
}

/** The policies among a task's options. */
export interface PolicyOptions {
  readonly retry?: RetryPolicy | undefined;
  readonly perpetual?: PerpetualPolicy | undefined;
  readonly timeout?: Duration | undefined;
  readonly limits?: readonly LimitPolicy<string>[] | undefined;
  readonly priority?: Priority | undefined;
}

/** The policies that a worker can have for all its tasks. */
export type DefaultPolicyOptions = Omit<PolicyOptions, 'perpetual' | 'priority'>;

/**
 * Checks the policies among a task's options, each by itself and against each other, and returns their data. An empty list
 * of limits is kept: it is a declaration, too.
 * @throws InvalidOptionError when one was not made by its function, `timeout` is not a duration of more than 0, `priority` is
 *   not a priority, two limits would count the same thing, or a perpetual task is debounced
 */
export function resolvePolicies(options: PolicyOptions): TaskPolicies {
  const policies: { -readonly [K in keyof TaskPolicies]: TaskPolicies[K] } = {};
  if (options.retry !== undefined) policies.retry = checkRetry(options.retry, 'retry');
  if (options.perpetual !== undefined) policies.perpetual = checkPerpetual(options.perpetual);
  if (options.timeout !== undefined) policies.timeoutMs = timeoutMsOf(options.timeout, 'timeout');
  if (options.limits !== undefined) policies.limits = checkLimits(options.limits, 'limits');
  if (options.priority !== undefined) policies.priority = checkPriority(options.priority);
  checkCombination(policies);
  return Object.freeze(policies);
}

/**
 * Checks policies that all tasks of a worker have unless they declare their own, and returns their data.
 * @throws InvalidOptionError when one is not valid, or is a limit that not every task can have
 */
export function resolveDefaultPolicies({ retry, timeout, limits }: DefaultPolicyOptions, prefix: string): TaskPolicies {
  const checked = limits && checkLimits(limits, `${prefix}limits`);
  for (const [index, { kind, argument }] of (checked ?? []).entries()) {
    const option = `${prefix}limits[${index}]`;
    if (argument !== null) {
      throw new InvalidOptionError(option, `counts by the argument '${argument}', which not every task has`);
    }
    if (kind === 'debounce') {
      throw new InvalidOptionError(option, 'a debounce() is not for every task: declare it with the tasks it is for');
    }
  }
  return Object.freeze({
    ...(retry !== undefined && { retry: checkRetry(retry, `${prefix}retry`) }),
    ...(timeout !== undefined && { timeoutMs: timeoutMsOf(timeout, `${prefix}timeout`) }),
    ...(checked && { limits: checked }),
  });
}

function checkRetry(retry: RetryPolicy, option: string): RetryPolicy {
  if (retry?.kind === 'retry') return retry;
  throw new InvalidOptionError(option, 'expected a policy made with retry() or exponentialRetry()');
}

function checkPerpetual(perpetual: PerpetualPolicy): PerpetualPolicy {
  if (perpetual?.kind === 'perpetual' || perpetual?.kind === 'cron') return perpetual;
  throw new InvalidOptionError('perpetual', 'expected a policy made with perpetual() or cron()');
}

function timeoutMsOf(timeout: Duration, option: string): number {
  const timeoutMs = toMs(timeout, option);
  if (timeoutMs > 0) return timeoutMs;
  throw new InvalidOptionError(option, 'expected a duration of at least 1 ms: leave it out to set no limit');
}

/** @throws InvalidOptionError when a perpetual task is debounced */
export function checkCombination({ perpetual, limits }: TaskPolicies): void {
  if (!perpetual || !limits?.some((limit) => limit.kind === 'debounce')) return;
  const problem =
    'a perpetual task cannot have a debounce(), which chooses among many executions, while a chain has one key';
  throw new InvalidOptionError('limits', `${problem}: use cooldown(), or debounce the task that triggers this one`);
}
