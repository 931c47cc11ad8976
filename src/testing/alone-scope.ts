/** The scope of an attempt that runs alone: it keeps what a thread would send to its coordinator. */
import { threadId } from 'node:worker_threads';
import type { LogLine } from '../channel/protocol.js';
import type { SlotTable } from '../channel/slots.js';
import type { TaskDocket, TaskLogger } from '../tasks/context.js';
import { loggerInto } from '../thread/log-call.js';
import type { ThreadScope } from '../thread/scope.js';
import { Tracing } from '../tracing/tracing.js';

const WORKER = 'test';

export class AloneScope implements ThreadScope {
  readonly slots: SlotTable;
  readonly docketName: string;
  readonly tracing = new Tracing();
  readonly worker = { name: WORKER, threadId };
  readonly maxPayloadBytes: number;
  readonly logs: LogLine[] = [];
  readonly #docket: TaskDocket;

  constructor(slots: SlotTable, docket: TaskDocket, maxPayloadBytes: number) {
    this.slots = slots;
    this.docketName = docket.name;
    this.#docket = docket;
    this.maxPayloadBytes = maxPayloadBytes;
  }

  docket(): TaskDocket {
    return this.#docket;
  }

  logger(context: Readonly<Record<string, unknown>>): TaskLogger {
    const where = { docket: this.docketName, worker: WORKER, thread: threadId };
    return loggerInto((line) => this.logs.push(line), { ...where, ...context });
  }

  /** The progress is read from the attempt. */
  report(): void {}
}
