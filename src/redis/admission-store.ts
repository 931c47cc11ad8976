/** Claims executions whose tasks have limits, in one script a batch: what may not run now waits where the server wakes it. */
import type { Redis } from 'ioredis';
import type { Token } from './delivery-store.js';
import type { Keys } from './keys.js';
import { ADMISSION_STAGE_CODE, type AdmissionStage } from './schema.js';
import { runScript, type ScriptArgument } from './script.js';

/** One thing an execution must pass before it may run; `key` names the limit, without the docket's prefix or spaces. */
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
  /** Where it stands in line if it has no record; those with one stand by their generation. */
  readonly ticket: number;
  /** Identity of an execution without a record. */
  readonly id: string;
  readonly ttlMs: number;
  /** How far it has got through the limits of its task. */
  readonly admissionStage: AdmissionStage;
  /** Whether it was woken with its slots in hand. */
  readonly holdsPermits: boolean;
  /** In the order in which they are passed; slots last, sorted by key. */
  readonly gates: readonly AdmissionCheck[];
}

/**
 * What became of one that was not admitted: it is no longer ours; it waits, and its entry is gone; an error left it to its
 * lease; or a gate dropped it, and it is ours to settle.
 */
export type AdmissionResult = 'refused' | 'parked' | 'failed' | 'cooldown' | 'debounce' | 'rate';

/** Answers for each applicant, in order: `null` when it may run. May be repeated when an answer was lost. */
export async function admit(
  redis: Redis,
  keys: Keys,
  worker: string,
  consumer: string,
  applicants: readonly AdmissionRequest[],
): Promise<(AdmissionResult | null)[]> {
  const args: ScriptArgument[] = [keys.prefix, worker, consumer];
  let shape: readonly ScriptArgument[] = [];
  let countAt = -1;
  let lastNeeds = '';
  for (const applicant of applicants) {
    const own = shapeOf(applicant);
    if (!isAlike(shape, own)) {
      shape = own;
      countAt = args.push(...own, 0) - 1;
    }
    args[countAt] = (args[countAt] as number) + 1;
    const { record, token, id, ticket, gates } = applicant;
    const needs = needsOf(gates);
    args.push(record ?? id, token, record === null ? ticket : '', needs === lastNeeds ? '' : needs);
    lastNeeds = needs;
  }
  const reply = (await runScript(redis, 'admit', [keys.work, keys.front, keys.schedule], args)) as (number | Buffer)[];
  const verdicts = applicants.map((): AdmissionResult | null => null);
  for (let i = 0; i < reply.length; i += 2) verdicts[reply[i] as number] = String(reply[i + 1]) as AdmissionResult;
  return verdicts;
}

/** What applicants have in common who travel in one group: all but who they are and which slots they need. */
function shapeOf({ record, attempt, ttlMs, admissionStage, holdsPermits, gates }: AdmissionRequest): ScriptArgument[] {
  const shape: ScriptArgument[] = [
    attempt,
    ttlMs,
    ADMISSION_STAGE_CODE[admissionStage],
    holdsPermits ? 1 : '',
    record === null ? '' : 1,
    0,
  ];
  for (const gate of gates) {
    if (gate.kind === 'permit') break; // they come last
    shape[GATE_COUNT] = (shape[GATE_COUNT] as number) + 1;
    if (gate.kind === 'cooldown') shape.push('cooldown', gate.key, gate.windowMs);
    else if (gate.kind === 'debounce') shape.push('debounce', gate.key, gate.settleMs);
    else shape.push('rate', gate.key, gate.max, gate.perMs, gate.onExceeded);
  }
  return shape;
}

const GATE_COUNT = 5;

function isAlike(a: readonly ScriptArgument[], b: readonly ScriptArgument[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** The slots as text: `name max name max`. */
function needsOf(gates: readonly AdmissionCheck[]): string {
  let needs = '';
  for (const gate of gates) if (gate.kind === 'permit') needs += `${needs === '' ? '' : ' '}${gate.key} ${gate.max}`;
  return needs === '' ? '-' : needs;
}
