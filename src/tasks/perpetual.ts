/** Perpetual policies: when a task that goes on by itself runs next. */
import { type Duration, toMs } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkCron } from './cron.js';

declare const policy: unique symbol;

/** A perpetual policy, made with {@link perpetual} or {@link cron}. */
export type PerpetualPolicy = PerpetualData & { readonly [policy]: 'perpetual' };

/** When the next run of a perpetual task is due. */
export type PerpetualData =
  | {
      readonly kind: 'perpetual';
      /** From one due time to the next; 0 runs again at once. */
      readonly everyMs: number;
      /** Workers start the chain by themselves. */
      readonly isAutomatic: boolean;
    }
  | {
      readonly kind: 'cron';
      readonly expression: string;
      /** IANA name. */
      readonly timezone: string;
      readonly isAutomatic: boolean;
    };

export interface PerpetualOptions {
  /**
   * From the due time of one run to that of the next, so that runs do not drift. A run that ends after the next one was
   * due is followed at once, and what it missed is not caught up. 0 runs again as soon as a run has ended.
   * @default 0
   */
  every?: Duration;
  /**
   * Workers start the task by themselves: one chain in the fleet, under the task's name as key, without arguments.
   * @default false
   */
  automatic?: boolean;
}

/**
 * Runs a task again and again: each run, whether it succeeded or failed for good, places the next one under its key.
 * @throws InvalidOptionError when `every` is not a duration, or `automatic` not a boolean
 * @example
 * ```ts
 * const sweep = task('sweep', { perpetual: perpetual({ every: '5m', automatic: true }) }, async (_args: {}, ctx) => {
 *   if (await isSwept()) ctx.perpetual.cancel();
 * });
 * ```
 */
export function perpetual(options: PerpetualOptions = {}): PerpetualPolicy {
  return perpetualPolicy({
    kind: 'perpetual',
    everyMs: toMs(options.every ?? 0, 'perpetual.every'),
    isAutomatic: isAutomatic(options.automatic, 'perpetual.automatic'),
  });
}

export interface CronOptions {
  /**
   * IANA name of the time zone the expression is meant in, such as `'Europe/Berlin'`. Name one: where the hosts of a
   * fleet are set to different zones, the default makes them disagree on when the task is due.
   * @default the host's time zone
   */
  timezone?: string;
  /**
   * Workers start the task by themselves: one chain in the fleet, under the task's name as key, without arguments.
   * @default false
   */
  automatic?: boolean;
}

/**
 * Runs a task by the clock on the wall. The next run is the first match after now, so what was missed while no worker
 * was there is not caught up, and nothing runs before its first match.
 *
 * When clocks go forward, a fixed time within the hour that is left out (`30 2 * * *`) runs once, when that hour would
 * have begun; when they go back, it runs in the first of the two hours only. Expressions with a `*` or a step in
 * minutes or hours follow the time that passes: they skip the missing hour and run in both of the repeated ones.
 *
 * @param expression - five fields (minute, hour, day of month, month, day of week), six with seconds first, or one of
 *   `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. When both days are given, either one is enough.
 * @throws InvalidOptionError when the expression cannot be read or never matches, or the time zone is unknown
 * @example
 * ```ts
 * const report = task('report', { perpetual: cron('0 9 * * MON-FRI', { timezone: 'Europe/Berlin' }) }, async () => {
 *   await sendReport();
 * });
 * ```
 */
export function cron(expression: string, options: CronOptions = {}): PerpetualPolicy {
  const timezone = options.timezone ?? hostTimezone();
  checkCron(expression, timezone);
  return perpetualPolicy({
    kind: 'cron',
    expression: expression.trim().replace(/\s+/g, ' '),
    timezone,
    isAutomatic: isAutomatic(options.automatic, 'cron.automatic'),
  });
}

function isAutomatic(automatic: boolean | undefined, option: string): boolean {
  if (automatic === undefined || typeof automatic === 'boolean') return automatic ?? false;
  throw new InvalidOptionError(option, `expected true or false, got ${String(automatic)}`);
}

/** A host whose setting says nothing runs on UTC, but has no name for it. */
function hostTimezone(): string {
  const timezone: string | undefined = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  return timezone === undefined || timezone === 'Etc/Unknown' ? 'UTC' : timezone;
}

/** The brand exists for the compiler only. */
function perpetualPolicy(data: PerpetualData): PerpetualPolicy {
  return Object.freeze(data) as PerpetualPolicy;
}
