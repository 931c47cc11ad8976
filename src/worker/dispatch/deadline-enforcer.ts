/**
 * Ends the threads of attempts that will not end by themselves: those past their timeout, and those that were asked to
 * stop and did not.
 *
 * Such an attempt has `abortGrace` to end by itself. Then its thread is ended: at once when it has no other, or if its
 * event loop is blocked, so that the others make no progress either. Otherwise the thread takes no new work, and is
 * ended when the others are over or have had the drain timeout. Attempts are settled only when their thread is gone, so
 * that neither a retry nor the next holder of the same permit meets code that still runs.
 *
 * A spent thread waits for the last of its attempts. When it runs several at once, it waits no longer than the drain
 * timeout: one attempt of an hour would leave all other places empty for an hour. Then it is renewed.
 */

import { SlotState, StopReason } from '../../channel/slots.js';
import { monotonicMs } from '../../core/clock.js';
import { pause, Service } from '../../core/service.js';
import type { Logger } from '../../tasks/context.js';
import { keyOf } from '../delivery.js';
import type { Thread } from '../threads/thread.js';
import type { Dispatcher } from './dispatcher.js';
import type { Ending, Lane } from './lane.js';
import type { Shipment } from './shipment.js';

const CHECK_EVERY_MS = 50;
/** The same while no execution has a timeout or was asked to stop. Each check wakes the coordinator for little then. */
const CHECK_OTHERS_EVERY_MS = 1_000;
/** A thread that has not attended after this long has a blocked event loop: one that is merely busy attends within 1 ms. */
const UNRESPONSIVE_AFTER_MS = 100;

export interface DeadlineEnforcerOptions {
  readonly dispatcher: Pick<
    Dispatcher,
    'allLanes' | 'slots' | 'redispatch' | 'reopen' | 'renew' | 'anyShipped' | 'anyMayBeOverdue'
  >;
  readonly abortGraceMs: number;
  readonly drainTimeoutMs: number;
  readonly logger: Logger;
}

export class DeadlineEnforcer extends Service {
  readonly #options: DeadlineEnforcerOptions;

  constructor(options: DeadlineEnforcerOptions) {
    super();
    this.#options = options;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { dispatcher } = this.#options;
    while (!signal.aborted) {
      for (const lane of dispatcher.allLanes) if (lane.thread?.isEnforceable) this.#check(lane, lane.thread);
      const isAnyEnding = dispatcher.allLanes.some((lane) => lane.ending);
      if (!isAnyEnding) {
        await dispatcher.anyShipped(signal); // an idle worker has no timer
        await dispatcher.anyMayBeOverdue(signal, CHECK_OTHERS_EVERY_MS);
      }
      await pause(CHECK_EVERY_MS, signal);
    }
  }

  #check(lane: Lane, thread: Thread): void {
    const nowMs = monotonicMs();
    if (lane.underusedMs(nowMs) > this.#options.drainTimeoutMs) this.#options.dispatcher.renew(lane);
    const overdue: Shipment[] = [];
    for (const shipment of lane.shipments) if (this.#isOverdue(shipment, nowMs)) overdue.push(shipment);
    if (overdue.length === 0) {
      if (lane.ending) this.#options.dispatcher.reopen(lane); // the overdue one ended while others kept its thread alive
      return;
    }
    const { sinceMs, request } = lane.ending ?? this.#beginEnding(lane, nowMs);
    const hasNeighbours = lane.shipments.size > overdue.length;
    const waitedMs = nowMs - sinceMs;
    const isUnresponsive = waitedMs >= UNRESPONSIVE_AFTER_MS && !thread.hasAttended(request);
    if (!hasNeighbours || isUnresponsive || waitedMs > this.#options.drainTimeoutMs) this.#end(lane, overdue, nowMs);
  }

  #beginEnding(lane: Lane, nowMs: number): Ending {
    const ending = lane.beginEnding(nowMs);
    this.#options.dispatcher.redispatch(lane);
    return ending;
  }

  #isOverdue(shipment: Shipment, nowMs: number): boolean {
    if (this.#options.dispatcher.slots.state(shipment.row) !== SlotState.started) return false;
    const { stop } = shipment;
    return this.#isTimedOut(shipment, nowMs) || (stop !== null && nowMs > stop.askedMs + this.#options.abortGraceMs);
  }

  #isTimedOut({ row }: Shipment, nowMs: number): boolean {
    const deadlineMs = this.#options.dispatcher.slots.deadline(row);
    return deadlineMs > 0 && nowMs > deadlineMs + this.#options.abortGraceMs;
  }

  #end(lane: Lane, overdue: readonly Shipment[], nowMs: number): void {
    for (const shipment of overdue) {
      const { stop } = shipment;
      // As on the thread, a cancel goes before a timeout, a timeout before an interrupt. Without a request to stop it
      // was the timeout, even if the thread has moved the deadline since.
      const hasTimedOut = !stop || (stop.reason !== StopReason.cancelled && this.#isTimedOut(shipment, nowMs));
      shipment.condemned = hasTimedOut ? 'timeout' : stop.reason;
      const { task, attempt } = shipment.delivery.envelope;
      const fields = { task, key: keyOf(shipment.delivery), attempt, lane: lane.index };
      const why = hasTimedOut ? 'did not end at its timeout' : 'did not stop when it was asked to';
      this.#options.logger.warn(fields, `${task} ${why}: its thread is ended`);
    }
    lane.terminate();
  }
}
