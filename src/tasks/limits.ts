/**
 * Limits: policies that make executions wait or drop them, for the task as a whole or for each value of an argument.
 */
import { type Duration, toMs } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, type OptionNames, optionNames, wholeNumberOf } from '../core/options.js';

declare const policy: unique symbol;
declare const limited: unique symbol;

/** A limit of a task, made with {@link concurrencyLimit}, {@link rateLimit}, {@link cooldown} or {@link debounce}. */
export type LimitPolicy<N extends string> = LimitData & { readonly [policy]: 'limit'; readonly [limited]?: N };

/** The data of a limit. It counts separately for each value of `argument`; `null` counts the task as a whole. */
export type LimitData = { readonly argument: string | null } & (
  | {
      readonly kind: 'concurrency';
      /** Maximum number of executions that run at once. */
      readonly max: number;
      /** Name under which tasks share the limit; `null` for a limit of this task only. */
      readonly scope: string | null;
    }
  | {
      readonly kind: 'rate';
      /** Maximum number of attempts that start within any period of `perMs`. */
      readonly max: number;
      readonly perMs: number;
      readonly onExceeded: 'delay' | 'drop';
    }
  | { readonly kind: 'cooldown'; readonly windowMs: number }
  | { readonly kind: 'debounce'; readonly settleMs: number }
);

/** Options of {@link concurrencyLimit}. */
export interface ConcurrencyLimitOptions {
  /**
   * Maximum number of executions that run at once in the whole fleet. The others wait, first come, first served.
   * @default 1
   */
  max?: number;
  /**
   * A name of 1 to 128 bytes, to share the limit with other tasks. Limits with the same scope count together for the
   * same value of their arguments, whatever the arguments are called. Give all of them the same `max`.
   * @default the limit counts this task only
   */
  scope?: string;
}

/**
 * Limits how many executions run at once, for each value of an argument or for the task as a whole.
 * @param argument - name of the argument whose values are counted separately: a string, number, bigint, boolean, null
 *   or Date. An execution without it fails.
 * @throws InvalidOptionError when `argument` or `scope` is empty, `scope` is longer than 128 bytes, or `max` is not a
 *   whole number >= 1
 * @example
 * ```ts
 * concurrencyLimit('customerId'); // one at a time for each customer
 * concurrencyLimit('host', { max: 4, scope: 'crawl' }); // four at once for each host, in all tasks with this scope
 * concurrencyLimit({ max: 10 }); // ten at once in the whole fleet
 * ```
 */
export function concurrencyLimit<const N extends string>(
  argument: N,
  options?: ConcurrencyLimitOptions,
): LimitPolicy<N>;
export function concurrencyLimit(options: ConcurrencyLimitOptions & { max: number }): LimitPolicy<never>;
export function concurrencyLimit(
  first: string | ConcurrencyLimitOptions,
  second: ConcurrencyLimitOptions = {},
): LimitPolicy<string> {
  const [argument, { max = 1, scope }] = targetAndOptions('concurrencyLimit', CONCURRENCY_OPTIONS, first, second);
  if (scope !== undefined) checkName(scope, 'concurrencyLimit.scope', MAXIMUM_SCOPE_BYTES);
  checkMax(max, 'concurrencyLimit.max');
  return limitPolicy({ kind: 'concurrency', argument, max, scope: scope ?? null });
}

/** Options of {@link rateLimit}. */
export interface RateLimitOptions {
  /** Maximum number of attempts that may start within any period of `per`. */
  max: number;
  /** Length of the period, more than 0. It is a sliding period on the server's clock, counted 2 % longer, up to 100 ms. */
  per: Duration;
  /**
   * What happens to an execution beyond the limit: `'delay'` runs it as soon as the rate allows, `'drop'` cancels it.
   * @default 'delay'
   */
  onExceeded?: 'delay' | 'drop';
}

/**
 * Limits how many attempts start within a period, for each value of an argument or for the task as a whole. Retries
 * count; redeliveries of the same attempt do not. An attempt is counted when its worker claims it. If it does not begin
 * within 100 ms, it is counted again.
 * @param argument - name of the argument whose values are counted separately, see {@link concurrencyLimit}
 * @throws InvalidOptionError when `argument` is empty, `max` is not a whole number >= 1, `per` is not a duration of
 *   more than 0, or `onExceeded` is neither `'delay'` nor `'drop'`
 * @example
 * ```ts
 * rateLimit('customerId', { max: 100, per: '1m' });
 * rateLimit({ max: 5, per: '1s', onExceeded: 'drop' });
 * ```
 */
export function rateLimit<const N extends string>(argument: N, options: RateLimitOptions): LimitPolicy<N>;
export function rateLimit(options: RateLimitOptions): LimitPolicy<never>;
export function rateLimit(first: string | RateLimitOptions, second?: RateLimitOptions): LimitPolicy<string> {
  const [argument, { max, per, onExceeded = 'delay' }] = targetAndOptions('rateLimit', RATE_OPTIONS, first, second);
  checkMax(max, 'rateLimit.max');
  if (onExceeded !== 'delay' && onExceeded !== 'drop') {
    throw new InvalidOptionError('rateLimit.onExceeded', `expected 'delay' or 'drop', got ${String(onExceeded)}`);
  }
  return limitPolicy({ kind: 'rate', argument, max, perMs: toPositiveMs(per, 'rateLimit.per'), onExceeded });
}

/** Options of {@link cooldown}. */
export interface CooldownOptions {
  /** How long after the start of an execution others are cancelled, more than 0. */
  window: Duration;
}

/**
 * Runs an execution and cancels others that are due within a window after its start. Its own retries and redeliveries
 * are not affected.
 * @param argument - name of the argument whose values are counted separately, see {@link concurrencyLimit}
 * @throws InvalidOptionError when `argument` is empty, or `window` is not a duration of more than 0
 * @example
 * ```ts
 * cooldown('customerId', { window: '10m' });
 * ```
 */
export function cooldown<const N extends string>(argument: N, options: CooldownOptions): LimitPolicy<N>;
export function cooldown(options: CooldownOptions): LimitPolicy<never>;
export function cooldown(first: string | CooldownOptions, second?: CooldownOptions): LimitPolicy<string> {
  const [argument, { window }] = targetAndOptions('cooldown', COOLDOWN_OPTIONS, first, second);
  return limitPolicy({ kind: 'cooldown', argument, windowMs: toPositiveMs(window, 'cooldown.window') });
}

/** Options of {@link debounce}. */
export interface DebounceOptions {
  /**
   * How long nothing may be added before an execution runs, more than 0. There is no longest wait: without a pause none
   * runs.
   */
  settle: Duration;
}

/**
 * Runs only the last one of executions that are added in quick succession, with its own arguments, `settle` after it
 * was due. The others are cancelled. Add them without a `key`, because under one key only the first would be added.
 * @param argument - name of the argument whose values are counted separately, see {@link concurrencyLimit}
 * @throws InvalidOptionError when `argument` is empty, or `settle` is not a duration of more than 0
 * @example
 * ```ts
 * debounce('documentId', { settle: '5s' });
 * ```
 */
export function debounce<const N extends string>(argument: N, options: DebounceOptions): LimitPolicy<N>;
export function debounce(options: DebounceOptions): LimitPolicy<never>;
export function debounce(first: string | DebounceOptions, second?: DebounceOptions): LimitPolicy<string> {
  const [argument, { settle }] = targetAndOptions('debounce', DEBOUNCE_OPTIONS, first, second);
  return limitPolicy({ kind: 'debounce', argument, settleMs: toPositiveMs(settle, 'debounce.settle') });
}

/**
 * Checks the limits of one task, each by itself and against each other, and returns a frozen copy.
 * @param option - the option that has them, for errors
 * @throws InvalidOptionError when one was not made by its function, or two of them would count the same thing
 */
export function checkLimits(limits: readonly LimitData[], option: string): readonly LimitData[] {
  if (!Array.isArray(limits)) throw new InvalidOptionError(option, `expected a list of limits${MADE_WITH}`);
  const subjects = new Set<string>();
  for (const [index, limit] of limits.entries()) {
    if (!isLimit(limit)) throw new InvalidOptionError(`${option}[${index}]`, `expected a limit${MADE_WITH}`);
    const subject = subjectOf(limit);
    if (subjects.has(subject))
      throw new InvalidOptionError(`${option}[${index}]`, `the task already has a ${subject}: keep one of them`);
    subjects.add(subject);
  }
  return Object.freeze([...limits]);
}

const CONCURRENCY_OPTIONS = optionNames<ConcurrencyLimitOptions>({ max: true, scope: true });
const RATE_OPTIONS = optionNames<RateLimitOptions>({ max: true, per: true, onExceeded: true });
const COOLDOWN_OPTIONS = optionNames<CooldownOptions>({ window: true });
const DEBOUNCE_OPTIONS = optionNames<DebounceOptions>({ settle: true });

const MAXIMUM_SCOPE_BYTES = 128;
const MADE_WITH = ' made with concurrencyLimit(), rateLimit(), cooldown() or debounce()';
const KINDS: readonly unknown[] = ['concurrency', 'rate', 'cooldown', 'debounce'] satisfies LimitData['kind'][];
/** Lone surrogates, which have no bytes in UTF-8. */
const UNSAFE = /\p{Cs}/u;

function isLimit(limit: LimitData | null | undefined): boolean {
  return KINDS.includes(limit?.kind);
}

/** Describes what a limit counts; the text is the same for two limits that would count the same thing. */
function subjectOf(limit: LimitData): string {
  if (limit.kind === 'debounce') return 'debounce'; // an execution can have one debounce only
  const target = limit.argument === null ? '' : ` on '${limit.argument}'`;
  if (limit.kind !== 'concurrency') return `${limit.kind} limit${target}`;
  return `concurrency limit${target}${limit.scope === null ? '' : ` with the scope '${limit.scope}'`}`;
}

/** Separates the parameters of `limit(argument, options)` and `limit(options)`. */
function targetAndOptions<O extends object>(
  limit: string,
  names: OptionNames,
  first: string | O,
  second: O | undefined,
): [argument: string | null, options: Partial<O>] {
  const isForTask = typeof first === 'object' && first !== null;
  const options = isForTask ? first : (second ?? {});
  if (!isForTask) checkName(first, `${limit}.argument`);
  checkOptionNames(options, names, `${limit}.`);
  return [isForTask ? null : first, options];
}

function checkName(name: unknown, option: string, maximumBytes = Number.POSITIVE_INFINITY): asserts name is string {
  if (typeof name !== 'string' || name === '') {
    const given = name === '' ? "''" : String(name);
    throw new InvalidOptionError(option, `expected a name, a string that is not empty, got ${given}`);
  }
  const bytes = Buffer.byteLength(name);
  if (bytes > maximumBytes) throw new InvalidOptionError(option, `expected up to ${maximumBytes} bytes, got ${bytes}`);
  if (UNSAFE.test(name))
    throw new InvalidOptionError(option, `expected text without lone surrogates, got ${JSON.stringify(name)}`);
}

function checkMax(max: unknown, option: string): asserts max is number {
  wholeNumberOf(max, 1, option);
}

function toPositiveMs(duration: Duration | undefined, option: string): number {
  const ms = toMs(duration as Duration, option);
  if (ms === 0) throw new InvalidOptionError(option, `expected a duration of at least 1 ms, got ${String(duration)}`);
  return ms;
}

/** The brand exists for the compiler only. */
function limitPolicy(data: LimitData): LimitPolicy<string> {
  return Object.freeze(data) as LimitPolicy<string>;
}
