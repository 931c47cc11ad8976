/** Retry policies: how often a failed attempt is retried, and after which delay. */
import { type Duration, toMs } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames, shown } from '../core/options.js';

declare const policy: unique symbol;

/** A retry policy, made with {@link retry} or {@link exponentialRetry}. */
export interface RetryPolicy extends RetryData {
  readonly [policy]: 'retry';
}

/**
 * The data of a policy. The delay before attempt n+1 is `min(minimumDelayMs * factor ** (n - 1), maximumDelayMs)`, less
 * jitter.
 */
export interface RetryData {
  readonly kind: 'retry';
  /** Number of attempts, the first one included; `null` for no limit. */
  readonly attempts: number | null;
  readonly minimumDelayMs: number;
  readonly maximumDelayMs: number;
  /** 1 keeps the delay as it is, 2 doubles it after each attempt. */
  readonly factor: number;
  /** 0..1: a delay is drawn from `[delay * (1 - jitter), delay]`, so that it never exceeds the maximum. */
  readonly jitter: number;
}

/** Options of {@link retry}. */
export interface RetryOptions {
  /**
   * Number of attempts, the first one included: 1 never retries. `'forever'` retries until an attempt succeeds or the
   * execution is cancelled, so a task that can never succeed is retried for good.
   * @default 3
   */
  attempts?: number | 'forever';
  /**
   * Delay from the end of an attempt to the next one. With 0, the execution is queued again at once, behind all others.
   * @default 0
   */
  delay?: Duration;
}

/**
 * Retries a failed attempt after a fixed delay.
 * @throws InvalidOptionError when `attempts` is not a whole number >= 1, or `delay` is not a duration
 * @example
 * ```ts
 * const ping = task('ping', { retry: retry({ attempts: 5, delay: '10s' }) }, async ({ url }: { url: string }) => {
 *   await fetch(url);
 * });
 * ```
 */
export function retry(options: RetryOptions = {}): RetryPolicy {
  checkOptionNames(options, RETRY_OPTIONS, 'retry.');
  const delayMs = toMs(options.delay ?? 0, 'retry.delay');
  return retryPolicy({
    kind: 'retry',
    attempts: attemptsOf(options.attempts, 'retry.attempts'),
    minimumDelayMs: delayMs,
    maximumDelayMs: delayMs,
    factor: 1,
    jitter: 0,
  });
}

/** Options of {@link exponentialRetry}. */
export interface ExponentialRetryOptions {
  /**
   * Number of attempts, the first one included: 1 never retries. `'forever'` retries until an attempt succeeds or the
   * execution is cancelled.
   * @default 3
   */
  attempts?: number | 'forever';
  /**
   * Delay after the first attempt. It doubles after each further one.
   * @default '1s'
   */
  minimumDelay?: Duration;
  /**
   * Maximum delay between two attempts.
   * @default '64s'
   */
  maximumDelay?: Duration;
  /**
   * The random part of each delay, from 0 to 1: with 0.2, a delay is drawn from 80 % to 100 % of its length. This
   * spreads the retries of executions that failed together.
   * @default 0
   */
  jitter?: number;
}

/**
 * Retries a failed attempt after a delay that doubles each time, up to a maximum.
 * @throws InvalidOptionError when `attempts` is not a whole number >= 1, a delay is not a duration, `maximumDelay` is
 *   less than `minimumDelay`, or `jitter` is not a number from 0 to 1
 * @example
 * ```ts
 * const policy = exponentialRetry({ attempts: 5, minimumDelay: '500ms', jitter: 0.2 }); // waits 0.5, 1, 2, 4 s
 * ```
 */
export function exponentialRetry(options: ExponentialRetryOptions = {}): RetryPolicy {
  checkOptionNames(options, EXPONENTIAL_OPTIONS, 'exponentialRetry.');
  const minimumDelayMs = toMs(options.minimumDelay ?? '1s', 'exponentialRetry.minimumDelay');
  const maximumDelayMs = toMs(options.maximumDelay ?? '64s', 'exponentialRetry.maximumDelay');
  const jitter = options.jitter ?? 0;
  if (maximumDelayMs < minimumDelayMs) {
    const problem = `expected at least minimumDelay (${minimumDelayMs} ms), got ${maximumDelayMs} ms`;
    throw new InvalidOptionError('exponentialRetry.maximumDelay', problem);
  }
  if (typeof jitter !== 'number' || !(jitter >= 0 && jitter <= 1)) {
    throw new InvalidOptionError('exponentialRetry.jitter', `expected a number from 0 to 1, got ${shown(jitter)}`);
  }
  const attempts = attemptsOf(options.attempts, 'exponentialRetry.attempts');
  return retryPolicy({ kind: 'retry', attempts, minimumDelayMs, maximumDelayMs, factor: 2, jitter });
}

const DEFAULT_ATTEMPTS = 3;

const RETRY_OPTIONS = optionNames<RetryOptions>({ attempts: true, delay: true });
const EXPONENTIAL_OPTIONS = optionNames<ExponentialRetryOptions>({
  attempts: true,
  minimumDelay: true,
  maximumDelay: true,
  jitter: true,
});

function attemptsOf(attempts: number | 'forever' = DEFAULT_ATTEMPTS, option: string): number | null {
  if (attempts === 'forever') return null;
  if (Number.isSafeInteger(attempts) && attempts >= 1) return attempts;
  throw new InvalidOptionError(option, `expected a whole number >= 1 or 'forever', got ${shown(attempts)}`);
}

/** The brand exists for the compiler only. */
function retryPolicy(data: RetryData): RetryPolicy {
  return Object.freeze(data) as RetryPolicy;
}
