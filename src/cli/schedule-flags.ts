/** The flags with which `docket add` makes a schedule. */
import type { Command } from 'commander';
import { InvalidOptionError } from '../core/errors.js';
import type { AddOptions } from '../tasks/call.js';
import { cron, perpetual } from '../tasks/policies.js';
import { durationArgument, wholeNumber } from './values.js';

export interface ScheduleFlags {
  readonly cron?: string;
  readonly timezone?: string;
  readonly every?: number;
  readonly until?: Date;
  readonly times?: number;
}

export function withScheduleFlags(command: Command): Command {
  return command
    .option('--cron <expression>', "make a schedule: run it at these times, such as '0 9 * * MON-FRI'")
    .option('--timezone <name>', 'time zone of the expression, such as Europe/Berlin (default: UTC)')
    .option('--every <duration>', 'make a schedule: run it at this interval', durationArgument)
    .option('--until <date>', 'end the schedule: no run is due later', parseUntil)
    .option('--times <n>', 'end the schedule after so many runs', wholeNumber);
}

/**
 * Returns the options of `add` that make the schedule.
 * @throws InvalidOptionError naming the flag that cannot be used
 */
export function scheduleOf(flags: ScheduleFlags): Pick<AddOptions, 'perpetual' | 'until' | 'times'> {
  const { until, times } = flags;
  const policy = policyOf(flags);
  return {
    ...(policy && { perpetual: policy }),
    ...(until !== undefined && { until }),
    ...(times !== undefined && { times }),
  };
}

function policyOf({ cron: expression, timezone, every }: ScheduleFlags): AddOptions['perpetual'] {
  if (expression !== undefined && every !== undefined) {
    throw new InvalidOptionError('--every', 'give it or --cron, not both');
  }
  if (expression !== undefined) return cron(expression, timezone === undefined ? {} : { timezone });
  if (timezone !== undefined) throw new InvalidOptionError('--timezone', 'it is that of --cron: give both');
  return every === undefined ? undefined : perpetual({ every });
}

function parseUntil(text: string): Date {
  const date = /^\d{4}-/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (!Number.isNaN(date.getTime())) return date;
  throw new InvalidOptionError('--until', `'${text}' is not a date such as 2030-01-31T12:00:00Z`);
}
