/**
 * The messages between the coordinator and its threads: closed unions of plain data. Nothing else crosses the border.
 *
 *   coordinator ── boot ───────────────> thread    loads the task modules, replies with their manifest
 *   coordinator ── chunk ──────────────> thread    runs its items
 *   coordinator <── outcomes, logs ... ─ thread    as they come
 *   coordinator ── dispose ────────────> thread    disposes of its shared dependencies, replies when that is done
 *
 * `boot`, `dispose` and the replies to them travel over piscina's port, and the rest over a port that comes with `boot`: piscina's
 * way from one thread to the other has twice as many steps. Neither port is the thread's `parentPort` or in its `workerData`.
 * Tasks that look for active handles find piscina's port, and end the thread if they close it, but not ours. Everything that a
 * thread sends is checked all the same (`untrusted.ts`).
 *
 * Two things are shared beside the messages: the slot table (`slots.ts`), and the two words of `attention`, by which
 * the coordinator, without a message, makes a thread look for attempts to stop. The coordinator increments ASKED and
 * wakes the thread. The thread copies ASKED to HEARD before it looks, so HEARD tells the coordinator which requests
 * were seen.
 */

import type { MessagePort } from 'node:worker_threads';
import { Packr, Unpackr } from 'msgpackr';
import type { Due } from '../core/due.js';
import type { ServerConnectionOptions } from '../core/server-connection.js';
import type { CountedPlacement } from '../core/states.js';
import type { NextRunOverride } from '../tasks/next-run.js';
import type { SentConnection } from './credentials.js';

/** The data a thread starts with. */
export interface ThreadConfig {
  /** The memory of the slot table. */
  readonly slots: SharedArrayBuffer;
  /** Two Int32, at the indexes ASKED and HEARD. */
  readonly attention: SharedArrayBuffer;
  /** Module references of the task collections. */
  readonly tasks: readonly string[];
  /** Module reference of the task that runs in place of unknown ones. */
  readonly fallback: string | null;
  /** Whether `debug` lines are read, so that the start and the end of each attempt are logged. */
  readonly logsAttempts: boolean;
  /** Whether the worker counts the executions that tasks add through `ctx.docket`. */
  readonly countsPlacements: boolean;
  /** Maximum number of attempts that this thread runs at once. */
  readonly concurrency: number;
  readonly workerName: string;
  /** The settings of the docket that the thread opens for `ctx.docket`. */
  readonly docket: {
    readonly name: string;
    readonly url: string;
    /** As the coordinator has it: functions in it are sent as questions (`credentials.ts`). */
    readonly connection: ServerConnectionOptions | null;
    readonly executionTtlMs: number;
    readonly maxPayloadBytes: number;
    readonly durability: { readonly replicas: number; readonly timeoutMs: number } | null;
  };
}

/** Index in `attention`: how often the coordinator has asked the thread to look for attempts to stop. */
export const ASKED = 0;
/** Index in `attention`: the value of ASKED when the thread last looked. */
export const HEARD = 1;

/**
 * Maximum age of an outcome that is not reported when the next attempt starts, where there is no backlog. Outcomes are
 * reported at the end of a turn of the thread's event loop, but attempts may start within the turn, and the next body may
 * block the event loop for long. Results that are younger then wait for that body; outcomes without a result reach the
 * coordinator through the slot table.
 */
export const REPORT_AFTER_MS = 0.5;

/** One shipment in a chunk. */
export interface ChunkItem {
  readonly row: number;
  readonly epoch: number;
  /** Key of the record; `null` for an execution without one, whose message has the id. */
  readonly record: string | null;
  /** Token of the delivery, by which writes from its body are fenced; `null` for an execution without a record. */
  readonly token: string | null;
  /** Tag of the partition that has it; '' for partition 0. */
  readonly partition: string;
  /** When it was due, in server milliseconds. */
  readonly dueMs: number;
  readonly isRedelivered: boolean;
  /** The message as it came from Redis; the coordinator does not decode it. */
  readonly message: Uint8Array;
}

/** Messages from the coordinator to a thread to which the thread replies. */
export type ToThread =
  /** Load the tasks. Chunks come over `port`, and everything but the replies is posted to it. */
  | {
      readonly kind: 'boot';
      readonly config: ThreadConfig;
      readonly port: MessagePort;
      /** The options of the connections of the thread's docket, and the port over which it asks for credentials. */
      readonly connection: { readonly sent: SentConnection; readonly port: MessagePort } | null;
      /** The memory of the log window. */
      readonly logWindow: SharedArrayBuffer;
      readonly outputWindow: SharedArrayBuffer;
    }
  /** Tell the modules that an execution has failed for good. The thread replies when their functions have ended. */
  | { readonly kind: 'failure'; readonly failure: FailureNotice }
  /** Dispose the shared dependencies, because the thread is about to end. The thread replies when that is done. */
  | { readonly kind: 'dispose' };

/** A chunk on its way to a thread: its number, and the items as a `ChunkWriter` wrote them. */
export interface ChunkMessage {
  readonly chunk: number;
  readonly items: Uint8Array;
  /** Maximum age of an outcome that is not reported when the next attempt starts. */
  readonly patienceMs: number;
}

/** An execution that has failed for good, for the functions that want to know. */
export interface FailureNotice {
  /** Its message. */
  readonly message: Uint8Array;
  readonly key: string;
  /** Its error, encoded. */
  readonly error: Uint8Array;
}

/** The thread's reply to `boot`: the tasks it can run, or the encoded error of a module that failed to load. */
export type Booted<Manifest> =
  | { readonly kind: 'ready'; readonly manifest: Manifest }
  | { readonly kind: 'failed'; readonly error: Uint8Array };

/** What became of a shipment: how its attempt ended, as the thread decided it, or that there was none. */
export type Outcome = AttemptOutcome | UnknownTask;

/** The thread has no such task, although the worker does: it was started later, from modules that have changed. */
export interface UnknownTask {
  readonly kind: 'unknown-task';
}

/** How an attempt ended. */
export type AttemptOutcome =
  | { readonly kind: 'completed'; readonly result: Uint8Array | null; readonly next?: NextRunOverride }
  | {
      readonly kind: 'failed';
      readonly error: Uint8Array;
      readonly line: string;
      readonly next?: NextRunOverride;
      /** What is kept of it beside the error. */
      readonly details?: FailureDetails;
    }
  | {
      readonly kind: 'retry';
      readonly due: Due;
      readonly line: string;
    }
  /** The execution was cancelled, and its attempt has ended. */
  | { readonly kind: 'cancelled' }
  /** The attempt was cut short because the worker stops: the delivery is requeued, uncharged. */
  | { readonly kind: 'interrupted' };

/** What a thread knows of an attempt that failed for good. */
export interface FailureDetails {
  /** Name of the error; '' when something else was thrown. */
  readonly name: string;
  /** Node's id of the thread. */
  readonly thread: number;
  readonly tookMs: number;
}

/**
 * Outcomes on their way to the coordinator. Most executions complete without a result or with a few bytes. Flat arrays
 * of these cost the coordinator a third as much as an array of objects (0.36 and 1.28 us per execution, measured).
 */
export interface OutcomeBatch {
  /** Shipment ids (see `slots.ts`) of the attempts that completed without a result. */
  readonly completed: number[];
  /**
   * Shipment ids of the attempts that completed with a result. The result of the i-th one ends at `ends[i]` in `bytes`.
   */
  readonly withResult: number[];
  readonly ends: number[];
  readonly bytes: Uint8Array | null;
  /** All other outcomes. */
  readonly others: { readonly shipmentId: number; readonly outcome: Outcome }[];
  /** The last progress message of each attempt that set one. */
  readonly messages?: readonly ProgressMessage[];
}

/** The latest progress message of an attempt. Its `current` and `total` are in the slot table. */
export interface ProgressMessage {
  readonly shipmentId: number;
  readonly message: string | null;
}

/** A stream that tasks write to, for example with `console`. */
export type OutputStream = 'stdout' | 'stderr';

/** A line for the log of the worker. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** The number of executions that the tasks of a thread have added since the last report, by kind and task. */
export type PlacementCounts = readonly (readonly [what: CountedPlacement, task: string, count: number])[];

/** Messages from a thread to the coordinator, beside its replies. */
export type FromThread =
  /** `over` has the numbers of the chunks that are over, all of whose outcomes have been sent with this message. */
  | { readonly kind: 'outcomes'; readonly batch: OutcomeBatch; readonly over: readonly number[] }
  | { readonly kind: 'progress'; readonly message: ProgressMessage }
  /** `units` is the room that it takes in the log window. */
  | { readonly kind: 'log'; readonly line: LogLine; readonly units: number }
  /** Data that was written to a stream of the thread. `units` is the room that it takes in the output window. */
  | {
      readonly kind: 'output';
      readonly stream: OutputStream;
      readonly data: string | Uint8Array;
      readonly units: number;
    }
  | { readonly kind: 'placements'; readonly placements: PlacementCounts };

const packer = new Packr({ useRecords: false });
const unpacker = new Unpackr({ useRecords: false });
const ITEM_FIELDS = 8;

/** Builds a chunk: a flat msgpack array with eight values for each item. */
export class ChunkWriter {
  readonly #flat: unknown[] = [];

  add(item: ChunkItem): void {
    const { row, epoch, record, token, partition, dueMs, isRedelivered, message } = item;
    this.#flat.push(row, epoch, record, token, partition, dueMs, isRedelivered, message);
  }

  /**
   * Returns the chunk in memory of its own, which can be transferred. Cloning a view would copy the whole pool around
   * it.
   */
  finish(): Uint8Array {
    return new Uint8Array(packer.pack(this.#flat));
  }
}

/** Reads a chunk. The messages of its items are views into it. */
export function decodeChunk(bytes: Uint8Array): ChunkItem[] {
  const flat = unpacker.unpack(bytes) as unknown[];
  const items: ChunkItem[] = [];
  for (let i = 0; i < flat.length; i += ITEM_FIELDS) {
    items.push({
      row: flat[i] as number,
      epoch: flat[i + 1] as number,
      record: flat[i + 2] as string | null,
      token: flat[i + 3] as string | null,
      partition: flat[i + 4] as string,
      dueMs: flat[i + 5] as number,
      isRedelivered: flat[i + 6] as boolean,
      message: flat[i + 7] as Uint8Array,
    });
  }
  return items;
}

/** Collects outcomes and progress messages until they are sent. */
export class OutcomeCollector {
  #completed: number[] = [];
  #withResult: number[] = [];
  #results: Uint8Array[] = [];
  #others: { shipmentId: number; outcome: Outcome }[] = [];
  #messages: ProgressMessage[] = [];

  get isEmpty(): boolean {
    return this.#completed.length + this.#withResult.length + this.#others.length === 0;
  }

  add(shipmentId: number, outcome: Outcome): void {
    if (outcome.kind !== 'completed' || outcome.next) this.#others.push({ shipmentId, outcome });
    else if (outcome.result === null) this.#completed.push(shipmentId);
    else {
      this.#withResult.push(shipmentId);
      this.#results.push(outcome.result);
    }
  }

  /** Adds the last progress message of an attempt, beside its outcome. */
  addMessage(message: ProgressMessage): void {
    this.#messages.push(message);
  }

  /** Takes everything collected so far. */
  take(): OutcomeBatch {
    let end = 0;
    const ends = this.#results.map((result) => {
      end += result.length;
      return end;
    });
    const batch: OutcomeBatch = {
      completed: this.#completed,
      withResult: this.#withResult,
      ends,
      bytes: this.#results.length > 0 ? new Uint8Array(Buffer.concat(this.#results, end)) : null,
      others: this.#others,
      ...(this.#messages.length > 0 && { messages: this.#messages }),
    };
    this.#completed = [];
    this.#withResult = [];
    this.#results = [];
    this.#others = [];
    this.#messages = [];
    return batch;
  }
}

/** Calls `visit` for each outcome of a batch. */
export function forEachOutcome(batch: OutcomeBatch, visit: (shipmentId: number, outcome: Outcome) => void): void {
  for (const shipmentId of batch.completed) visit(shipmentId, COMPLETED);
  let start = 0;
  for (let i = 0; i < batch.withResult.length; i++) {
    const end = batch.ends[i]!;
    visit(batch.withResult[i]!, { kind: 'completed', result: batch.bytes!.subarray(start, end) });
    start = end;
  }
  for (const { shipmentId, outcome } of batch.others) visit(shipmentId, outcome);
}

const COMPLETED: Outcome = { kind: 'completed', result: null };
