/**
 * Decides whether a delivery that is ours may start. Pure: the pipeline acts on the verdict.
 *
 * It is asked between the claim and the dispatch, because news can have arrived while the claim was in flight: a cancel, a pause
 * or a strike that was not there when the entry was read.
 */
import type { Delivery } from '../delivery.js';
import type { CancelListener } from './cancel-listener.js';
import type { PauseGuard } from './pause-guard.js';
import type { StrikeGuard } from './strike-guard.js';

export type StartVerdict =
  | { readonly kind: 'may-run' }
  /** It has ended its thread or process too often. */
  | { readonly kind: 'poisoned' }
  /** It was cancelled, or its key has passed to another execution. */
  | { readonly kind: 'cancelled' }
  /** Its task, or the whole docket, is paused. */
  | { readonly kind: 'paused' }
  /** A strike keeps it from running; `reason` names it. */
  | { readonly kind: 'struck'; readonly reason: string };

export interface StartCriteria {
  readonly maxDeliveries: number;
  readonly cancelListener: Pick<CancelListener, 'isBarred'>;
  readonly pauseGuard: Pick<PauseGuard, 'isPaused'>;
  readonly strikeGuard: Pick<StrikeGuard, 'reasonStruck'>;
}

export function startVerdictOf(delivery: Delivery, criteria: StartCriteria): StartVerdict {
  if (delivery.charges >= criteria.maxDeliveries) return POISONED;
  if (criteria.cancelListener.isBarred(delivery)) return CANCELLED;
  if (criteria.pauseGuard.isPaused(delivery.envelope.task)) return PAUSED;
  const reason = criteria.strikeGuard.reasonStruck(delivery);
  return reason === null ? MAY_RUN : { kind: 'struck', reason };
}

const MAY_RUN: StartVerdict = { kind: 'may-run' };
const POISONED: StartVerdict = { kind: 'poisoned' };
const PAUSED: StartVerdict = { kind: 'paused' };
const CANCELLED: StartVerdict = { kind: 'cancelled' };
