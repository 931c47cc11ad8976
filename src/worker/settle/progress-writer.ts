/**
 * Writes the progress of executions: ten times a second the changes in the slot table, and the final values of each
 * attempt just before its outcome.
 *
 * Owns the knowledge of which progress Redis has. Each partition is written to by itself, so that one whose server does not
 * answer does not hold the others back. Only executions that report progress are tracked. For all others it only reads two
 * numbers and compares them. An execution that keeps no state keeps no progress either.
 */
import { hasBegun, type SlotTable } from '../../channel/slots.js';
import { DEFAULT_TOTAL } from '../../core/progress.js';
import { pause, Service } from '../../core/service.js';
import type { ProgressReport } from '../../redis/progress-store.js';
import type { WorkerContext } from '../context.js';
import type { Delivery, DeliveryPipeline } from '../delivery.js';
import type { Lane } from '../dispatch/lane.js';
import type { Shipment } from '../dispatch/shipment.js';
import { logRetry } from '../log-retry.js';

const READ_EVERY_MS = 100;

export interface ProgressWriterOptions extends Pick<WorkerContext, 'logger'> {
  readonly lanes: readonly Lane[];
  readonly slots: SlotTable;
  /** Resolves when anything is on a thread, or on its way there, or when the signal aborts. */
  anyShipped(signal: AbortSignal): Promise<void>;
}

interface Values {
  current: number;
  total: number;
  message: string | null;
}

/** The progress of one execution: its values, and those that Redis is known to have. */
interface Tracked extends Values {
  written: Written;
}

/** `undefined` is an unknown value: a write that would change it is in flight, or has failed and may have arrived. */
type Written = { readonly [Field in keyof Values]: Values[Field] | undefined };

/** What is written at once to one partition. */
interface Changes {
  readonly reports: ProgressReport[];
  readonly sent: (readonly [tracked: Tracked, values: Values])[];
}

const NOTHING: Readonly<Values> = { current: 0, total: DEFAULT_TOTAL, message: null };

export class ProgressWriter extends Service {
  readonly #options: ProgressWriterOptions;
  readonly #tracked = new Map<Delivery, Tracked>();
  /** The writes that have no answer yet, one for each partition. */
  readonly #writing = new Map<DeliveryPipeline, Promise<void>>();

  constructor(options: ProgressWriterOptions) {
    super();
    this.#options = options;
  }

  /** Takes a progress message from the thread that runs the execution. */
  setMessage({ delivery }: Shipment, message: string | null): void {
    if (keepsProgress(delivery)) this.#track(delivery).message = message;
  }

  /** Reads the last values of a shipment that is about to leave its row. */
  readFinal({ delivery, row }: Shipment): void {
    if (keepsProgress(delivery) && hasBegun(this.#options.slots.state(row))) this.#read(delivery, row);
  }

  /** Takes the unwritten progress of an execution that has ended here; `null` when there is none. */
  takeUnwritten(delivery: Delivery): ProgressReport | null {
    const tracked = this.#tracked.size > 0 ? this.#tracked.get(delivery) : undefined;
    if (!tracked) return null;
    this.#tracked.delete(delivery);
    return reportOf(delivery, tracked);
  }

  protected async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#tracked.size === 0) await this.#options.anyShipped(signal); // an idle worker has no timer
      await pause(READ_EVERY_MS, signal);
      this.#readAll();
      this.#writeChanges();
    }
    await Promise.all(this.#writing.values());
  }

  #readAll(): void {
    const { lanes, slots } = this.#options;
    for (const lane of lanes) {
      for (const { delivery, row } of lane.shipments) {
        if (keepsProgress(delivery) && hasBegun(slots.state(row))) this.#read(delivery, row);
      }
    }
  }

  /** Writes what has changed, except where the last write has no answer yet. */
  #writeChanges(): void {
    const changed = new Map<DeliveryPipeline, Changes>();
    for (const [delivery, tracked] of this.#tracked) {
      const { pipeline } = delivery;
      const report = this.#writing.has(pipeline) ? null : reportOf(delivery, tracked);
      if (!report) continue;
      const { current, total, message } = tracked;
      const values = { current, total, message };
      const changes = changed.get(pipeline) ?? { reports: [], sent: [] };
      changed.set(pipeline, changes);
      changes.reports.push(report);
      changes.sent.push([tracked, values]);
      tracked.written = unchanged(tracked.written, values);
    }
    for (const [pipeline, changes] of changed) {
      this.#writing.set(
        pipeline,
        this.#write(pipeline, changes).finally(() => this.#writing.delete(pipeline)),
      );
    }
  }

  /** Never rejects. */
  async #write(pipeline: DeliveryPipeline, { reports, sent }: Changes): Promise<void> {
    try {
      await pipeline.writeProgress(reports);
      for (const [tracked, values] of sent) tracked.written = values;
    } catch (error) {
      logRetry(this.#options.logger, error, 'progress could not be written', { count: reports.length });
    }
  }

  #read(delivery: Delivery, row: number): void {
    const { slots } = this.#options;
    const current = slots.current(row);
    const total = slots.total(row);
    if (current === 0 && total === DEFAULT_TOTAL && !this.#tracked.has(delivery)) return;
    const tracked = this.#track(delivery);
    tracked.current = current;
    tracked.total = total;
  }

  #track(delivery: Delivery): Tracked {
    let tracked = this.#tracked.get(delivery);
    if (!tracked) {
      tracked = { ...NOTHING, written: NOTHING };
      this.#tracked.set(delivery, tracked);
    }
    return tracked;
  }
}

function keepsProgress({ record, envelope }: Delivery): boolean {
  return record !== null && envelope.ttlMs > 0;
}

/**
 * Returns the values still known during a write of `values`. Others count as unknown, because an execution that ends
 * meanwhile may have set them back to the values written before, which must then be written again.
 */
function unchanged(written: Written, values: Readonly<Values>): Written {
  const known = <T>(before: T, after: T): T | undefined => (before === after ? before : undefined);
  return {
    current: known(written.current, values.current),
    total: known(written.total, values.total),
    message: known(written.message, values.message),
  };
}

/**
 * Returns the values that Redis may lack; `null` when it has all of them. Total and message are left out unless they
 * changed, because others may set them too.
 */
function reportOf({ record, token }: Delivery, { current, total, message, written }: Tracked): ProgressReport | null {
  if (current === written.current && total === written.total && message === written.message) return null;
  return {
    record: record!,
    token,
    current,
    total: total === written.total ? undefined : total,
    message: message === written.message ? undefined : message,
  };
}
