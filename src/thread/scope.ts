/** The scope of a thread, which its attempts share: the slot table, a docket, and the channels to the coordinator. */

import { threadId } from 'node:worker_threads';
import type { LogLine, PlacementCounts, ProgressMessage, ThreadConfig } from '../channel/protocol.js';
import type { SlotTable } from '../channel/slots.js';
import { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import type { ErrorClass as DocketErrorClass } from '../client/options.js';
import type { TaskDocket, TaskLogger } from '../tasks/context.js';
import { Tracing } from '../tracing/tracing.js';
import type { ErrorClass } from '../wire/codec.js';
import { loggerInto } from './log-call.js';
import { PlacementCounter } from './placement-counter.js';

/** The scope of a thread as attempts see it. */
export interface ThreadScope {
  readonly slots: SlotTable;
  readonly docketName: string;
  /** Makes the spans of attempts, if a provider is registered. */
  readonly tracing: Tracing;
  readonly worker: { readonly name: string; readonly threadId: number };
  /** Maximum number of bytes of encoded arguments or an encoded result. */
  readonly maxPayloadBytes: number;
  /** Returns the thread's own docket, which is opened on first use. */
  docket(): TaskDocket;
  /** Returns a logger whose lines carry these fields beside docket, worker and thread. */
  logger(fields: Readonly<Record<string, unknown>>): TaskLogger;
  /** Sends a progress message while its attempt runs. */
  report(message: ProgressMessage): void;
}

/** Sends reports to the coordinator while attempts run. */
export interface Reports {
  log(line: LogLine): void;
  progress(message: ProgressMessage): void;
  placements(placements: PlacementCounts): void;
}

export class Scope implements ThreadScope {
  readonly slots: SlotTable;
  readonly docketName: string;
  readonly tracing = new Tracing();
  readonly worker: { readonly name: string; readonly threadId: number };
  readonly maxPayloadBytes: number;
  readonly #errors: readonly ErrorClass[];
  readonly #config: ThreadConfig;
  readonly #reports: Reports;
  #docket: Docket | undefined;
  #placements: PlacementCounter | undefined;

  /** @param errors - error classes that are revived in results read through `ctx.docket` */
  constructor(config: ThreadConfig, slots: SlotTable, reports: Reports, errors: readonly ErrorClass[] = []) {
    this.#config = config;
    this.#errors = errors;
    this.maxPayloadBytes = config.docket.maxPayloadBytes;
    this.#reports = reports;
    this.slots = slots;
    this.docketName = config.docket.name;
    this.worker = { name: config.workerName, threadId };
  }

  docket(): TaskDocket {
    if (this.#docket) return this.#docket;
    const { name, url, connection, executionTtlMs, maxPayloadBytes, durability } = this.#config.docket;
    const errors = this.#errors as readonly DocketErrorClass[]; // constructors are never called, whatever they take
    this.#docket = new Docket({
      name,
      url,
      ...(connection && { connection }),
      executionTtl: executionTtlMs,
      maxPayloadBytes,
      errors,
      ...(durability && { durability: { replicas: durability.replicas, timeout: durability.timeoutMs } }),
    });
    if (this.#config.countsPlacements) {
      const counter = new PlacementCounter((placements) => this.#reports.placements(placements));
      this.#placements = counter;
      internalsOf(this.#docket).watchPlacements((what, task) => counter.add(what, task));
    }
    return this.#docket;
  }

  logger(context: Readonly<Record<string, unknown>>): TaskLogger {
    const where = { docket: this.#config.docket.name, worker: this.#config.workerName, thread: threadId };
    return loggerInto((line) => this.#reports.log(line), { ...where, ...context });
  }

  report(message: ProgressMessage): void {
    this.#reports.progress(message);
  }

  /** Reports the counts, because the thread is about to end. */
  flush(): void {
    this.#placements?.flush();
  }

  /** Reports the counts and closes the docket. */
  async close(): Promise<void> {
    this.flush();
    await this.#docket?.close();
  }
}
