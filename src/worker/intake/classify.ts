/**
 * Classifies an entry that was read. Pure: nothing is counted, claimed or written here; the pipeline acts on the result.
 *
 * Owns the order of the questions. A pause comes first: a paused execution stays as it is until the end of the pause, whatever
 * else would become of it. Then comes the partition: an execution in the wrong one moves before anything of it is counted. A
 * strike comes before the limits, so that no limit counts a struck execution. The attempt budget comes before the claim, so that
 * an execution over budget is left to other workers as it was read.
 */
import { UndecodableValueError } from '../../core/errors.js';
import type { AdmissionCheck } from '../../redis/admission-store.js';
import type { Entry } from '../../redis/entry.js';
import { type Delivery, type DeliveryPipeline, deliveryOf } from '../delivery.js';
import type { AttemptBudget } from './attempt-budget.js';
import type { Catalog } from './catalog.js';
import type { PauseGuard } from './pause-guard.js';
import type { StrikeGuard } from './strike-guard.js';

export type Classified =
  /** Its message cannot be read, by any worker. */
  | { readonly kind: 'unreadable'; readonly reason: string }
  /** Its task, or the whole docket, is paused. */
  | { readonly kind: 'paused'; readonly delivery: Delivery }
  /** Nobody here can run it: its task is unknown, or its message is of a newer version. */
  | { readonly kind: 'unroutable'; readonly delivery: Delivery }
  /** A strike keeps it from running; `reason` names it. */
  | { readonly kind: 'struck'; readonly delivery: Delivery; readonly reason: string }
  /** A limit of its task counts by an argument that is missing or not a scalar. */
  | { readonly kind: 'uncountable'; readonly delivery: Delivery; readonly error: Error }
  /** Its limits count in another partition, or its chain goes on there: the one with this tag. */
  | { readonly kind: 'misplaced'; readonly delivery: Delivery; readonly tag: string }
  /** This worker has run its key as often as it may. */
  | { readonly kind: 'over-budget'; readonly delivery: Delivery }
  | Limited
  /** It has a record, by which it must be claimed. */
  | { readonly kind: 'recorded'; readonly delivery: Delivery }
  /** It has no record and no limits, so it need not be claimed. */
  | { readonly kind: 'lean'; readonly delivery: Delivery };

/** It must pass the limits of its task as it is claimed. */
export interface Limited {
  readonly kind: 'limited';
  readonly delivery: Delivery;
  readonly checks: readonly AdmissionCheck[];
}

export interface Criteria {
  readonly catalog: Pick<Catalog, 'policiesOf' | 'checksOf'>;
  readonly pauseGuard: Pick<PauseGuard, 'isPaused'>;
  readonly strikeGuard: Pick<StrikeGuard, 'reasonStruck'>;
  readonly attemptBudget: Pick<AttemptBudget, 'isSpent'>;
  /** The pipeline that has read the entry. */
  readonly pipeline: DeliveryPipeline;
  /** Returns the tag of the partition where a delivery belongs, if that is another one. */
  misplacedFor(delivery: Delivery): string | null;
}

/** Never throws: an entry that makes it fail is unreadable. */
export function classify(entry: Entry, criteria: Criteria): Classified {
  try {
    return classified(entry, criteria);
  } catch (error) {
    return { kind: 'unreadable', reason: error instanceof Error ? error.message : String(error) };
  }
}

function classified(entry: Entry, criteria: Criteria): Classified {
  const { catalog, pauseGuard, strikeGuard, attemptBudget, pipeline, misplacedFor } = criteria;
  const delivery = deliveryOf(entry, catalog.policiesOf, pipeline);
  const { policies } = delivery;
  if (pauseGuard.isPaused(delivery.envelope.task)) return { kind: 'paused', delivery };
  if (policies === null) return { kind: 'unroutable', delivery };
  const reason = strikeGuard.reasonStruck(delivery);
  if (reason !== null) return { kind: 'struck', delivery, reason };
  const checks = policies.limits ? checksOf(delivery, catalog) : null;
  if (checks instanceof Error) return { kind: 'uncountable', delivery, error: checks };
  const tag = policies.limits || policies.perpetual ? misplacedFor(delivery) : null;
  if (tag !== null) return { kind: 'misplaced', delivery, tag };
  if (attemptBudget.isSpent(delivery)) return { kind: 'over-budget', delivery };
  if (checks !== null) return { kind: 'limited', delivery, checks };
  return { kind: entry.record === null ? 'lean' : 'recorded', delivery };
}

/** @throws UndecodableValueError when the arguments cannot be read at all */
function checksOf({ envelope }: Delivery, catalog: Criteria['catalog']): readonly AdmissionCheck[] | Error | null {
  try {
    return catalog.checksOf(envelope);
  } catch (error) {
    if (error instanceof UndecodableValueError) throw error;
    return error as Error;
  }
}
