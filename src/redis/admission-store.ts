/**
 * Claims executions whose tasks have limits, in one script per batch. An execution that may not run now waits where the
 * server wakes it.
 */
import type { Redis } from 'ioredis';
import type { Priority } from '../core/priority.js';
import type { Token } from './delivery-store.js';
import type { Keys } from './keys.js';
import { priorityArgument } from './priority-argument.js';
import { type AdmissionStage, STAGE } from './schema.js';
import { runScript, type ScriptArgument } from './script.js';

/** The check of one limit, which an execution must pass before it may run. `key` names the limit, without spaces. */
export type AdmissionCheck =
  | { readonly kind: 'cooldown'; readonly key: string; readonly windowMs: number }
  | { readonly kind: 'debounce'; readonly key: string; readonly settleMs: number }
  | {
      readonly kind: 'rate';
      readonly key: string;
      readonly max: number;
      readonly perMs: number;
      readonly onExceeded: 'delay' | 'drop';
    }
  | { readonly kind: 'permit'; readonly key: string; readonly max: number };

export interface AdmissionRequest {
  /** Key of the record; `null` when there is none. */
  readonly record: string | null;
  readonly token: Token;
  readonly attempt: number;
  /** Where it stands in line if it has no record. An execution with a record stands in line by its generation. */
  readonly ticket: number;
  /** Id of an execution without a record. */
  readonly id: string;
  readonly ttlMs: number;
  /** How far it has got through the limits of its task. */
  readonly admissionStage: AdmissionStage;
  /** Whether it came with its permits, so that it need not pass its limits again. */
  readonly holdsPermits: boolean;
  /** Whether its rate limits have yet to count it, although it has passed them before. */
  readonly hasBooking: boolean;
  /** In line for a permit, one of high priority stands before the others, and one of low priority behind them. @default normal */
  readonly priority?: Priority | undefined;
  /** In the order in which they are passed. Those of permits come last, sorted by key. */
  readonly checks: readonly AdmissionCheck[];
}

/**
 * What became of an execution that was not admitted:
 *
 *   refused       it is no longer ours
 *   parked        it waits, and its entry is gone
 *   failed        an error left it to its lease
 *   cooldown...   the check that dropped it; it is ours to settle
 */
export type AdmissionResult = 'refused' | 'parked' | 'failed' | 'cooldown' | 'debounce' | 'rate';

/** Returns a result for each request, in order; `null` when it may run. May be repeated when a reply was lost. */
export async function admit(
  redis: Redis,
  keys: Keys,
  { worker, consumer }: { readonly worker: string; readonly consumer: string },
  requests: readonly AdmissionRequest[],
): Promise<(AdmissionResult | null)[]> {
  const args: ScriptArgument[] = [keys.prefix, worker, consumer];
  let shape: readonly ScriptArgument[] = [];
  let countAt = -1;
  let lastNeeds = '';
  for (const request of requests) {
    const requestShape = shapeOf(request);
    if (!isAlike(shape, requestShape)) {
      shape = requestShape;
      countAt = args.push(...shape, 0) - 1;
    }
    args[countAt] = (args[countAt] as number) + 1;
    const { record, token, id, ticket, checks } = request;
    const needs = needsOf(checks);
    args.push(record ?? id, token, record === null ? ticket : '', needs === lastNeeds ? '' : needs);
    lastNeeds = needs;
  }
  const reply = (await runScript(redis, 'admit', [keys.work, keys.front, keys.schedule], args)) as (number | Buffer)[];
  const results = requests.map((): AdmissionResult | null => null);
  for (let i = 0; i < reply.length; i += 2) results[reply[i] as number] = String(reply[i + 1]) as AdmissionResult;
  return results;
}

/** Returns the part of a request that its group shares: all but the execution itself and the permits it needs. */
function shapeOf(request: AdmissionRequest): ScriptArgument[] {
  const { record, attempt, ttlMs, admissionStage, holdsPermits, hasBooking, priority, checks } = request;
  const firstPermit = checks.findIndex(({ kind }) => kind === 'permit'); // permits come last
  const shape: ScriptArgument[] = [
    attempt,
    ttlMs,
    STAGE[admissionStage],
    holdsPermits ? 1 : '',
    hasBooking ? 1 : '',
    record === null ? '' : 1,
    priorityArgument(priority),
    firstPermit < 0 ? checks.length : firstPermit,
  ];
  for (const check of checks) {
    if (check.kind === 'permit') break;
    if (check.kind === 'cooldown') shape.push('cooldown', check.key, check.windowMs);
    else if (check.kind === 'debounce') shape.push('debounce', check.key, check.settleMs);
    else shape.push('rate', check.key, check.max, check.perMs, check.onExceeded);
  }
  return shape;
}

function isAlike(a: readonly ScriptArgument[], b: readonly ScriptArgument[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** Returns the permits it needs as text, `name max name max`, or '-' for none. */
function needsOf(checks: readonly AdmissionCheck[]): string {
  let needs = '';
  for (const check of checks)
    if (check.kind === 'permit') needs += `${needs === '' ? '' : ' '}${check.key} ${check.max}`;
  return needs === '' ? '-' : needs;
}
