/**
 * Ends what will not end by itself: runs past their timeout, and runs that were asked to stop and did not.
 *
 * A run has `abortGrace` to end by itself. Past that its thread is ended, at once when nobody else is on it or when its
 * event loop is blocked, so that nobody else gets on either. Else the thread takes no new work and is ended when its other
 * runs are over, or when they have had the drain timeout. Only when the thread is gone are its attempts settled, so that no
 * retry, and no holder of the same slot, meets code that still runs.
 *
 * A thread that has run all it may waits for the last of that, but with several executions at once no longer than the drain
 * timeout: one that takes an hour would keep the others' places empty as long. Then it runs as many once more.
 */

import { SlotState, type SlotTable, StopReason } from '../../channel/slots.js';
import { monotonicMs } from '../../core/clock.js';
import { pause, Service } from '../../core/service.js';
import type { Logger } from '../../tasks/context.js';
import { keyOf } from '../delivery.js';
import type { Thread } from '../threads/thread.js';
import type { Lane, Shipment } from './lane.js';

const LOOK_EVERY_MS = 50;
/** A thread that has not answered for so long has a blocked event loop: one that is merely busy answers in 1 ms. */
const DEAF_AFTER_MS = 100;

export interface DeadlineEnforcerOptions {
  readonly lanes: readonly Lane[];
  readonly slots: SlotTable;
  readonly abortGraceMs: number;
  readonly drainTimeoutMs: number;
  readonly logger: Logger;
  /** Takes back what the lane has not started. */
  redispatch(lane: Lane): void;
  /** The lane takes work again. */
  reopen(lane: Lane): void;
  /** The lane's thread runs more than it should. */
  renew(lane: Lane): void;
}

export class DeadlineEnforcer extends Service {
  readonly #options: DeadlineEnforcerOptions;

  constructor(options: DeadlineEnforcerOptions) {
    super();
    this.#options = options;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const lane of this.#options.lanes) if (lane.thread?.isEnforceable) this.#look(lane, lane.thread);
      await pause(LOOK_EVERY_MS, signal);
    }
  }

  #look(lane: Lane, thread: Thread): void {
    const nowMs = monotonicMs();
    if (lane.idlesMs(nowMs) > this.#options.drainTimeoutMs) this.#options.renew(lane);
    const overdue: Shipment[] = [];
    for (const shipment of lane.shipments) if (this.#isOverdue(shipment, nowMs)) overdue.push(shipment);
    if (overdue.some((shipment) => shipment.condemned)) return; // its thread is going
    if (overdue.length === 0) {
      if (lane.ending) this.#options.reopen(lane); // it ended by itself while others kept its thread alive
      return;
    }
    if (!lane.ending) {
      lane.ending = { sinceMs: nowMs, request: thread.attend() };
      this.#options.redispatch(lane);
    }
    const hasNeighbours = lane.shipments.size > overdue.length;
    const waitedMs = nowMs - lane.ending.sinceMs;
    const isDeaf = waitedMs >= DEAF_AFTER_MS && !thread.hasHeard(lane.ending.request);
    if (!hasNeighbours || isDeaf || waitedMs > this.#options.drainTimeoutMs) this.#end(lane, thread, overdue, nowMs);
  }

  #isOverdue(shipment: Shipment, nowMs: number): boolean {
    if (this.#options.slots.state(shipment.row) !== SlotState.started) return false;
    const { stop } = shipment;
    return this.#isTimedOut(shipment, nowMs) || (stop !== null && nowMs > stop.askedMs + this.#options.abortGraceMs);
  }

  #isTimedOut({ row }: Shipment, nowMs: number): boolean {
    const deadlineMs = this.#options.slots.deadline(row);
    return deadlineMs > 0 && nowMs > deadlineMs + this.#options.abortGraceMs;
  }

  #end(lane: Lane, thread: Thread, overdue: readonly Shipment[], nowMs: number): void {
    for (const shipment of overdue) {
      // Like a thread does: a cancel comes before a timeout, and that before an interruption.
      const wasCancelled = shipment.stop?.reason === StopReason.cancelled;
      shipment.condemned = !wasCancelled && this.#isTimedOut(shipment, nowMs) ? 'timeout' : 'stopped';
      const { task, attempt } = shipment.delivery.envelope;
      const fields = { task, key: keyOf(shipment.delivery), attempt, lane: lane.index };
      const why = shipment.condemned === 'timeout' ? 'did not end at its timeout' : 'did not stop when it was asked to';
      this.#options.logger.warn(fields, `${task} ${why}: its thread is ended`);
    }
    void thread.terminate(0);
  }
}
