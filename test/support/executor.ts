/** An executor without a coordinator: what units of the thread's side are tested with. */

import {
  type ChunkItem,
  forEachOutcome,
  type LogLine,
  type Outcome,
  type OutcomeBatch,
  type ProgressMessage,
} from '../../src/channel/protocol.js';
import { rowOfShipment, SlotTable } from '../../src/channel/slots.js';
import type { TaskDocket, TaskLogger } from '../../src/tasks/context.js';
import type { LoadedTasks } from '../../src/tasks/loader.js';
import type { AnyTask } from '../../src/tasks/task.js';
import { Executor } from '../../src/thread/executor.js';
import { readLogCall } from '../../src/thread/log-call.js';
import { Tracing } from '../../src/tracing/tracing.js';
import { encoderFor } from '../../src/wire/codec.js';
import { encodeEnvelope } from '../../src/wire/envelope.js';
import { OpenChunks } from '../../src/worker/threads/open-chunks.js';

export interface Setting extends Partial<Omit<LoadedTasks, 'tasks'>> {
  readonly concurrency?: number;
  readonly logsAttempts?: boolean;
  readonly docket?: Partial<TaskDocket>;
}

/** An executor, the coordinator's side of its slot table, and what was reported and logged. */
export function setUp(tasks: readonly AnyTask[], setting: Setting = {}) {
  const { concurrency = 1, logsAttempts = false, docket = {}, fallback = null, uses = [], errors = [] } = setting;
  const slots = new SlotTable(64);
  const reported: OutcomeBatch[] = [];
  const lines: LogLine[] = [];
  const messages: ProgressMessage[] = [];
  const chunks = new OpenChunks();
  const executor = new Executor({
    loaded: { tasks: new Map(tasks.map((one) => [one.name, one])), fallback, uses, errors },
    scope: {
      slots,
      docketName: 'docket',
      tracing: new Tracing(),
      worker: { name: 'w', threadId: 7 },
      maxPayloadBytes: 1_000,
      docket: () => docket as TaskDocket,
      logger: (own) => loggerInto(lines, own),
      report: (message) => messages.push(message),
    },
    concurrency,
    logsAttempts,
    report: (batch, over) => {
      if (!chunks.end(over, batch)) reported.push(batch);
    },
  });
  /** Runs a chunk. Resolves when all of it is over, with the outcomes that came with its end. */
  const run = (items: readonly ChunkItem[], patienceMs?: number) =>
    chunks.open((chunk) => executor.run(chunk, items, patienceMs));
  let nextRow = 0;
  const item = (name: string, args: object = {}, ttlMs = 0): ChunkItem => {
    const row = nextRow++;
    const message = encodeEnvelope(encoderFor(args, 'args'), name, ttlMs, `id-${row}`, args);
    return {
      row,
      epoch: slots.ship(row),
      record: null,
      token: null,
      partition: '',
      dueMs: 1,
      isRedelivered: false,
      message,
    };
  };
  /** Runs one execution to its end. */
  const outcomeOf = async (name: string, args: object = {}, ttlMs = 0): Promise<Outcome> => {
    const one = item(name, args, ttlMs);
    return outcomesOf(await run([one]), ...reported).get(one.row)!;
  };
  return { slots, executor, run, reported, lines, messages, item, outcomeOf };
}

/** Outcomes by the row of their execution. */
export function outcomesOf(...batches: OutcomeBatch[]): Map<number, Outcome> {
  const outcomes = new Map<number, Outcome>();
  for (const batch of batches) forEachOutcome(batch, (id, outcome) => outcomes.set(rowOfShipment(id), outcome));
  return outcomes;
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function loggerInto(lines: LogLine[], own: Readonly<Record<string, unknown>>): TaskLogger {
  const write =
    (level: LogLine['level']) =>
    (...args: unknown[]) => {
      const { message, fields } = readLogCall(args);
      lines.push({ level, message, fields: { ...fields, ...own } });
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}
