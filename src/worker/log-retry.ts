/**
 * Logs failures of what is tried again. Owns the bound on an outage: of each failure it logs the first at once, and then
 * one every ten seconds at most, with how many there were since the line before. Loops try again several times a second.
 */
import { monotonicMs } from '../core/clock.js';
import { isWordedByClient, LINK_IS_DOWN } from '../redis/link-errors.js';
import { meaningOf, withoutPosition } from '../redis/reply-errors.js';
import type { Logger } from '../tasks/context.js';

const PERIOD_MS = 10_000;

interface Period {
  readonly endMs: number;
  unlogged: number;
}

/** The periods that go on, of each logger, by the message and the kind of the error. */
const periodsOf = new WeakMap<Pick<Logger, 'warn'>, Map<string, Period>>();

/** @param message - what failed, the same each time: `, trying again` is added, and what a refusal of the server means */
export function logRetry(logger: Pick<Logger, 'warn'>, error: unknown, message: string, fields: object = {}): void {
  const periods = periodsOf.get(logger) ?? new Map<string, Period>();
  periodsOf.set(logger, periods);
  const kind = `${message} ${kindOf(error)}`;
  const nowMs = monotonicMs();
  const period = periods.get(kind);
  if (period && nowMs < period.endMs) {
    period.unlogged += 1;
    return;
  }
  for (const [other, { endMs }] of periods) if (endMs <= nowMs) periods.delete(other);
  periods.set(kind, { endMs: nowMs + PERIOD_MS, unlogged: 0 });
  const repeated = period?.unlogged ? { repeated: period.unlogged } : {};
  const meaning = meaningOf(error);
  const advice = meaning ? `: ${meaning.problem}: ${meaning.advice}` : '';
  const text = isWordedByClient(error) ? LINK_IS_DOWN : withoutPosition(String(error));
  logger.warn({ error: text, ...fields, ...repeated }, `${message}, trying again${advice}`);
}

/** The first word of an error reply names its kind; what follows may differ each time. */
function kindOf(error: unknown): string {
  return String(error).split(' ', 2).join(' ');
}
