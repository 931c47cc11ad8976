/** Describes declared policies in words, for the first log lines of a worker. */
import { assertNever } from '../core/assert.js';
import type { LimitData, PerpetualData, RetryData, TaskPolicies } from './policies.js';

/** Describes all policies of a task in one line; `runs once` for a task without policies. */
export function describePolicies(policies: TaskPolicies): string {
  return policyTexts(policies).join(', ') || 'runs once';
}

/** Describes each policy of a task in a few words. */
export function policyTexts({ retry, perpetual, timeoutMs, limits = [], priority = 'normal' }: TaskPolicies): string[] {
  const texts = [
    retry && describeRetry(retry),
    perpetual && describePerpetual(perpetual),
    timeoutMs !== undefined && `timeout ${duration(timeoutMs)}`,
    ...limits.map(describeLimit),
    priority !== 'normal' && `${priority} priority`,
  ];
  return texts.filter((text) => typeof text === 'string');
}

function describeRetry({ attempts, minimumDelayMs, maximumDelayMs, factor, jitter }: RetryData): string {
  const total = attempts === null ? 'attempts without end' : `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`;
  if (attempts === 1 || maximumDelayMs === 0) return total;
  const isFixed = factor === 1 || minimumDelayMs === maximumDelayMs;
  const delay = isFixed ? duration(minimumDelayMs) : `${duration(minimumDelayMs)} to ${duration(maximumDelayMs)}`;
  return `${total} ${delay} apart${jitter > 0 ? ` with jitter ${jitter}` : ''}`;
}

function describePerpetual(perpetual: PerpetualData): string {
  const start = perpetual.isAutomatic ? ', started by workers' : '';
  if (perpetual.kind === 'cron') return `cron '${perpetual.expression}' ${perpetual.timezone}${start}`;
  return `${describeInterval(perpetual.everyMs)}${start}`;
}

/** Describes the interval of a perpetual task. */
export function describeInterval(everyMs: number): string {
  return `every ${duration(everyMs)}`;
}

function describeLimit(limit: LimitData): string {
  const each = limit.argument === null ? '' : ` for each ${limit.argument}`;
  switch (limit.kind) {
    case 'concurrency':
      return `${limit.max} at once${each}${limit.scope === null ? '' : ` in scope '${limit.scope}'`}`;
    case 'rate':
      return `${limit.max} per ${duration(limit.perMs)}${each}${limit.onExceeded === 'drop' ? ', the rest dropped' : ''}`;
    case 'cooldown':
      return `cooldown ${duration(limit.windowMs)}${each}`;
    case 'debounce':
      return `debounce ${duration(limit.settleMs)}${each}`;
    default:
      return assertNever(limit);
  }
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** Formats a duration in the largest unit that leaves no fraction. */
function duration(ms: number): string {
  const [unit, size] = UNITS.find(([, unitMs]) => ms >= unitMs && ms % unitMs === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}
