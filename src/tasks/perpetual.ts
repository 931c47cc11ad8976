/** Perpetual policies: when the next run of a chain is due. */
import { type Duration, toMs } from '../core/duration.js';
import { checkOptionNames, flagOf, optionNames } from '../core/options.js';
import { checkCron } from './cron.js';

declare const policy: unique symbol;

/** A perpetual policy, made with {@link perpetual} or {@link cron}. */
export type PerpetualPolicy = PerpetualData & { readonly [policy]: 'perpetual' };

/** When the next run of a perpetual task is due. */
export type PerpetualData =
  | {
      readonly kind: 'perpetual';
      /** Time from one due time to the next; 0 runs again at once. */
      readonly everyMs: number;
      /** Whether workers start the chain by themselves. */
      readonly isAutomatic: boolean;
    }
  | {
      readonly kind: 'cron';
      readonly expression: string;
      /** IANA name of the time zone. */
      readonly timezone: string;
      readonly isAutomatic: boolean;
    };

/** Options of {@link perpetual}. */
export interface PerpetualOptions {
  /**
   * Time from the due time of one run to that of the next, so that runs do not drift. When a run ends after the next
   * one was due, that one is left out: the next one is due at the first multiple of the interval after now. With 0, the
   * next run is due when one has ended.
   * @default 0
   */
  every?: Duration;
  /**
   * Whether workers start the task by themselves: one chain in the fleet, with the task's name as its key, without
   * arguments.
   * @default false
   */
  automatic?: boolean;
}

/**
 * Runs a task again and again: the end of each run, whether it completed or failed for good, places the next one under
 * the same key.
 * @throws InvalidOptionError when `every` is not a duration, or `automatic` not a boolean
 * @example
 * ```ts
 * const sweep = task('sweep', { perpetual: perpetual({ every: '5m', automatic: true }) }, async (_args: {}, ctx) => {
 *   if (await isSwept()) ctx.perpetual.cancel();
 * });
 * ```
 */
export function perpetual(options: PerpetualOptions = {}): PerpetualPolicy {
  checkOptionNames(options, PERPETUAL_OPTIONS, 'perpetual.');
  return perpetualPolicy({
    kind: 'perpetual',
    everyMs: toMs(options.every ?? 0, 'perpetual.every'),
    isAutomatic: automaticOf(options.automatic, 'perpetual.automatic'),
  });
}

/** Options of {@link cron}. */
export interface CronOptions {
  /**
   * IANA name of the time zone of the expression, such as `'Europe/Berlin'`. The time zone of the host is never used,
   * since the hosts of a fleet may have different ones.
   * @default 'UTC'
   */
  timezone?: string;
  /**
   * Whether workers start the task by themselves: one chain in the fleet, with the task's name as its key, without
   * arguments.
   * @default false
   */
  automatic?: boolean;
}

/**
 * Runs a task at the times of a cron expression. The next run is due at the first match after now, so runs that were
 * missed without a worker are not caught up, and nothing runs before the first match.
 *
 * When the clocks go forward, a fixed time in the skipped hour (`30 2 * * *`) runs once, when that hour would have
 * begun. When they go back, it runs in the first of the two hours only. Expressions with a `*` or a step in minutes or
 * hours follow the time that passes: they skip the missing hour and run in both repeated ones.
 *
 * @param expression - five fields (minute, hour, day of month, month, day of week), six with seconds first, or one of
 *   `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. When both day fields are set, a match of either one is
 *   enough.
 * @throws InvalidOptionError when the expression is not valid or never matches, the time zone is unknown, or
 *   `automatic` is not a boolean
 * @example
 * ```ts
 * const report = task('report', { perpetual: cron('0 9 * * MON-FRI', { timezone: 'Europe/Berlin' }) }, async () => {
 *   await sendReport();
 * });
 * ```
 */
export function cron(expression: string, options: CronOptions = {}): PerpetualPolicy {
  checkOptionNames(options, CRON_OPTIONS, 'cron.');
  const timezone = options.timezone ?? 'UTC';
  checkCron(expression, timezone);
  return perpetualPolicy({
    kind: 'cron',
    expression: expression.trim().replace(/\s+/g, ' '),
    timezone,
    isAutomatic: automaticOf(options.automatic, 'cron.automatic'),
  });
}

const PERPETUAL_OPTIONS = optionNames<PerpetualOptions>({ every: true, automatic: true });
const CRON_OPTIONS = optionNames<CronOptions>({ timezone: true, automatic: true });

function automaticOf(automatic: boolean | undefined, option: string): boolean {
  return flagOf(automatic ?? false, option);
}

/** The brand exists for the compiler only. */
function perpetualPolicy(data: PerpetualData): PerpetualPolicy {
  return Object.freeze(data) as PerpetualPolicy;
}
