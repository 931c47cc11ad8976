/**
 * Tells a thread of each execution that has failed for good, once that is written. The thread then calls the functions
 * `onFailed` of its modules. Nothing is sent unless a module has one.
 *
 * Each failure is told once at most. Nothing stores the failures that are yet to be told, so they are lost with the worker or the
 * thread.
 */
import { monotonicMs } from '../../core/clock.js';
import { Queue } from '../../core/queue.js';
import { pause } from '../../core/service.js';
import type { FailureReport } from '../../redis/delivery-store.js';
import type { Logger } from '../../tasks/context.js';
import { type Delivery, keyOf, logDelivery } from '../delivery.js';
import type { Lane } from '../dispatch/lane.js';
import type { FloodKind, FloodLog } from '../flood-log.js';

/** How many may be with threads at once. Each may wait for a server, so there are more than threads. */
const MAX_TOLD = 64;
/** How many may wait for their turn. More are not told: a flood of failures must not fill the memory. */
const MAX_WAITING = 1_000;
/** How many bytes of messages and errors may wait or be with threads. */
const MAX_BYTES = 16 * 1024 * 1024;
/** How long one waits for a thread. Usually there is one; a thread that has died is replaced within a second. */
const THREAD_WAIT_MS = 10_000;
const LOOK_EVERY_MS = 50;

const LOST: FloodKind = { level: 'warn', what: 'failed and onFailed was not called' };

export interface FailureNotifierOptions {
  readonly lanes: readonly Lane[];
  readonly logger: Logger;
  readonly floodLog: FloodLog;
}

interface Failed {
  readonly delivery: Delivery;
  readonly report: FailureReport;
}

export class FailureNotifier {
  readonly #options: FailureNotifierOptions;
  readonly #waiting = new Queue<Failed>();
  #bytes = 0;
  readonly #told = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  /** Whether a module wants to know. */
  isNeeded = false;

  constructor(options: FailureNotifierOptions) {
    this.#options = options;
  }

  notify(delivery: Delivery, report: FailureReport): void {
    if (!this.isNeeded) return;
    if (this.#waiting.length >= MAX_WAITING || this.#bytes > MAX_BYTES) {
      return this.#logLost(delivery, 'too many failures wait for it');
    }
    this.#waiting.push({ delivery, report });
    this.#bytes += bytesOf(delivery, report);
    this.#pump();
  }

  /** Resolves when all were told. */
  async idle(): Promise<void> {
    while (this.#told.size > 0) await Promise.all(this.#told);
  }

  /** Gives up those that wait for a thread: the threads are about to end. */
  close(): void {
    this.#closing.abort();
  }

  #pump(): void {
    while (this.#waiting.length > 0 && this.#told.size < MAX_TOLD) {
      const { delivery, report } = this.#waiting.shift()!;
      const telling = this.#tell({ delivery, report });
      this.#told.add(telling);
      void telling.then(() => {
        this.#bytes -= bytesOf(delivery, report);
        this.#told.delete(telling);
        this.#pump();
      });
    }
  }

  /** Never rejects. */
  async #tell({ delivery, report }: Failed): Promise<void> {
    const lane = await this.#freeLane();
    if (!lane) return this.#logLost(delivery, 'there was no thread');
    const { bytes } = delivery.envelope;
    // Copies: a view would take the whole memory behind it along.
    const notice = { message: new Uint8Array(bytes), key: keyOf(delivery), error: new Uint8Array(report.error) };
    try {
      await lane.thread!.notifyFailure(notice);
    } catch {
      this.#logLost(delivery, 'its thread ended');
    }
  }

  /** Returns the lane with the least on it that has a thread; `null` when there is none for too long. */
  async #freeLane(): Promise<Lane | null> {
    const { lanes } = this.#options;
    const untilMs = monotonicMs() + THREAD_WAIT_MS;
    const { signal } = this.#closing;
    for (;;) {
      const able = lanes.filter(({ thread, ending, isOccupied }) => thread !== null && ending === null && !isOccupied);
      const [first] = able.sort((a, b) => a.shipments.size - b.shipments.size);
      if (first) return first;
      if (signal.aborted || monotonicMs() >= untilMs) return null;
      await pause(LOOK_EVERY_MS, signal);
    }
  }

  #logLost(delivery: Delivery, why: string): void {
    const { floodLog, logger } = this.#options;
    floodLog.log(LOST, delivery.envelope.task, () =>
      logDelivery(logger, 'warn', delivery, `failed, and onFailed was not called: ${why}`),
    );
  }
}

function bytesOf({ envelope }: Delivery, { error }: FailureReport): number {
  return envelope.bytes.length + error.length;
}
