/**
 * Writes how far executions are: ten times a second what has changed in the slot table, and the final values of each run
 * just before its outcome.
 *
 * Keeps a note only of executions that report progress; for all others it reads two numbers and compares them. What keeps
 * no state keeps no progress either.
 */
import type { Redis } from 'ioredis';
import { SlotState, type SlotTable } from '../../channel/slots.js';
import { DEFAULT_TOTAL } from '../../core/progress.js';
import { pause, Service } from '../../core/service.js';
import type { Keys } from '../../redis/keys.js';
import { type ProgressReport, reportProgress } from '../../redis/progress-store.js';
import type { Logger } from '../../tasks/context.js';
import type { Delivery } from '../delivery.js';
import type { Lane } from '../dispatch/lane.js';
import type { Shipment } from '../dispatch/shipment.js';

const LOOK_EVERY_MS = 100;

export interface ProgressWriterOptions {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly lanes: readonly Lane[];
  readonly slots: SlotTable;
  readonly logger: Logger;
}

interface Values {
  current: number;
  total: number;
  message: string | null;
}

/** An execution that has reported progress: what is true, and what Redis is known to have. */
interface Note extends Values {
  written: Known;
}

/** `undefined` is what nobody knows: a write that would change it is on its way, or failed and may have arrived. */
type Known = { readonly [Field in keyof Values]: Values[Field] | undefined };

const NOTHING: Readonly<Values> = { current: 0, total: DEFAULT_TOTAL, message: null };

export class ProgressWriter extends Service {
  readonly #options: ProgressWriterOptions;
  readonly #notes = new Map<Delivery, Note>();

  constructor(options: ProgressWriterOptions) {
    super();
    this.#options = options;
  }

  /** A message came in from the thread that runs the execution. */
  hear({ delivery }: Shipment, message: string | null): void {
    if (keepsProgress(delivery)) this.#noteOf(delivery).message = message;
  }

  /** The shipment leaves its row, which is about to be freed: its last values are read. */
  read({ delivery, row }: Shipment): void {
    if (!keepsProgress(delivery) || !hasBegun(this.#options.slots, row)) return;
    this.#look(delivery, row);
  }

  /** Takes what is not written yet of an execution that has ended here; `null` when there is nothing. */
  take(delivery: Delivery): ProgressReport | null {
    const note = this.#notes.size > 0 ? this.#notes.get(delivery) : undefined;
    if (!note) return null;
    this.#notes.delete(delivery);
    return reportOf(delivery, note);
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { redis, keys, lanes, slots, logger } = this.#options;
    while (!signal.aborted) {
      await pause(LOOK_EVERY_MS, signal);
      for (const lane of lanes) {
        for (const { delivery, row } of lane.shipments) {
          if (keepsProgress(delivery) && hasBegun(slots, row)) this.#look(delivery, row);
        }
      }
      const reports: ProgressReport[] = [];
      const sent: [note: Note, values: Values][] = [];
      for (const [delivery, note] of this.#notes) {
        const report = reportOf(delivery, note);
        if (!report) continue;
        const { current, total, message } = note;
        const values = { current, total, message };
        reports.push(report);
        sent.push([note, values]);
        note.written = unchanged(note.written, values);
      }
      if (reports.length === 0) continue;
      try {
        await reportProgress(redis, keys, reports);
        for (const [note, values] of sent) note.written = values;
      } catch (error) {
        logger.warn({ error: String(error), count: reports.length }, 'progress could not be written, trying again');
      }
    }
  }

  #look(delivery: Delivery, row: number): void {
    const { slots } = this.#options;
    const current = slots.current(row);
    const total = slots.total(row);
    if (current === 0 && total === DEFAULT_TOTAL && !this.#notes.has(delivery)) return;
    const note = this.#noteOf(delivery);
    note.current = current;
    note.total = total;
  }

  #noteOf(delivery: Delivery): Note {
    let note = this.#notes.get(delivery);
    if (!note) {
      note = { ...NOTHING, written: NOTHING };
      this.#notes.set(delivery, note);
    }
    return note;
  }
}

function keepsProgress({ record, envelope }: Delivery): boolean {
  return record !== null && envelope.ttlMs > 0;
}

/** Whether what the row says is of its present run. */
function hasBegun(slots: SlotTable, row: number): boolean {
  const state = slots.state(row);
  return state === SlotState.started || state === SlotState.finished || state === SlotState.returned;
}

/** What stays known while `values` are on their way: an execution that ends meanwhile may take the others back. */
function unchanged(written: Known, values: Readonly<Values>): Known {
  const known = <T>(before: T, after: T): T | undefined => (before === after ? before : undefined);
  return {
    current: known(written.current, values.current),
    total: known(written.total, values.total),
    message: known(written.message, values.message),
  };
}

/** What Redis has not been told, as far as is known; total and message, which others may set too, only when they changed. */
function reportOf({ record, token }: Delivery, { current, total, message, written }: Note): ProgressReport | null {
  if (current === written.current && total === written.total && message === written.message) return null;
  return {
    record: record!,
    token,
    current,
    total: total === written.total ? undefined : total,
    message: message === written.message ? undefined : message,
  };
}
