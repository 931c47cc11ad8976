/**
 * What the coordinator and its threads say to each other: closed unions of plain data, and nothing else crosses.
 *
 *   coordinator ── boot ──────────────> thread     loads the task modules, answers with their manifest
 *   coordinator ── chunk of items ────> thread     answers when the last one is over, with the outcomes not yet sent
 *   coordinator <── outcomes, logs ──── thread     as they finish
 *
 * Beside the messages there is the slot table (`slots.ts`) and a word a thread waits on, by which it is told to look for
 * cancelled runs even while nothing is sent.
 */

import { Packr, Unpackr } from 'msgpackr';
import type { Due } from '../core/due.js';
import type { CountedPlacement } from '../core/states.js';
import type { NextRunOverride } from '../tasks/next-run.js';

/** What a thread is started with. */
export interface ThreadConfig {
  readonly slots: SharedArrayBuffer;
  /** Two Int32, ASKED and HEARD: how often the thread was told to look for cancelled runs, and what it has seen of that. */
  readonly attention: SharedArrayBuffer;
  /** Module references of the task collections. */
  readonly tasks: readonly string[];
  /** Module reference of the task that runs in place of unknown ones. */
  readonly fallback: string | null;
  /** Whether anybody reads `debug` lines: the start and the end of each attempt are told then. */
  readonly logsAttempts: boolean;
  /** Whether anybody asks how much the tasks add. */
  readonly countsPlacements: boolean;
  /** Executions this thread runs at once. */
  readonly concurrency: number;
  readonly workerName: string;
  /** How to open a docket of the thread's own, for `ctx.docket`. */
  readonly docket: {
    readonly name: string;
    readonly url: string;
    readonly executionTtlMs: number;
    readonly maxPayloadBytes: number;
    readonly durability: { readonly replicas: number; readonly timeoutMs: number } | null;
  };
}

export const ASKED = 0;
export const HEARD = 1;

/** One execution on its way to a thread. */
export interface ChunkItem {
  readonly row: number;
  readonly epoch: number;
  /** Key of the record; `null` when the message has the id. */
  readonly record: string | null;
  readonly dueMs: number;
  readonly isRedelivered: boolean;
  /** The message as it came from Redis: the coordinator takes it over unread. */
  readonly message: Uint8Array;
}

export type ToThread =
  | { readonly kind: 'boot' }
  | { readonly kind: 'chunk'; readonly items: Uint8Array }
  /** Dispose what is shared: the thread is about to be ended. Answered when that is done. */
  | { readonly kind: 'dispose' };

/** The thread's answer to `boot`: what it can run, or the (encoded) error of a module that failed to load. */
export type Booted<Manifest> =
  | { readonly kind: 'ready'; readonly manifest: Manifest }
  | { readonly kind: 'failed'; readonly error: Uint8Array };

/** How one attempt ended, as decided in the thread. */
export type Outcome =
  | { readonly kind: 'completed'; readonly result: Uint8Array | null; readonly next?: NextRunOverride }
  | { readonly kind: 'failed'; readonly error: Uint8Array; readonly line: string; readonly next?: NextRunOverride }
  | {
      readonly kind: 'retry';
      readonly due: Due;
      readonly line: string;
    }
  /** Somebody cancelled the execution, and the attempt has ended. */
  | { readonly kind: 'cancelled' }
  /** The attempt was cut short because the worker stops: it is put back, uncharged. */
  | { readonly kind: 'interrupted' };

/**
 * Outcomes as they cross the threads' border. Most executions complete with nothing or with a few bytes; flat arrays of
 * those cost the coordinator a third of what an array of objects does (0.36 against 1.28 us an execution, measured).
 */
export interface OutcomeBatch {
  /** Shipment ids (see `slots.ts`) of those that completed without a result. */
  readonly completed: number[];
  /** Shipment ids of those that completed with a result; the result of the i-th ends at `ends[i]` in `bytes`. */
  readonly withResult: number[];
  readonly ends: number[];
  readonly bytes: Uint8Array | null;
  /** Everything else. */
  readonly others: { readonly shipmentId: number; readonly outcome: Outcome }[];
  /** Last messages of the progress of those among them that set any. */
  readonly messages?: readonly ProgressMessage[];
}

/** What an execution last said of its progress; `current` and `total` are in the slot table. */
export interface ProgressMessage {
  readonly shipmentId: number;
  readonly message: string | null;
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** How many, of which task, since the last report. */
export type PlacementCounts = readonly (readonly [what: CountedPlacement, task: string, count: number])[];

export type FromThread =
  | { readonly kind: 'outcomes'; readonly batch: OutcomeBatch }
  | { readonly kind: 'progress'; readonly message: ProgressMessage }
  | { readonly kind: 'log'; readonly line: LogLine }
  | { readonly kind: 'placements'; readonly placements: PlacementCounts };

const packer = new Packr({ useRecords: false });
const unpacker = new Unpackr({ useRecords: false });
const ITEM_FIELDS = 6;

/** Builds a chunk: a flat msgpack array, six values an item. */
export class ChunkWriter {
  readonly #flat: unknown[] = [];

  add(item: ChunkItem): void {
    this.#flat.push(item.row, item.epoch, item.record, item.dueMs, item.isRedelivered, item.message);
  }

  /** The message, in memory of its own: it can be transferred, where cloning a view copies all of the pool it lies in. */
  finish(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(packer.pack(this.#flat));
  }
}

/** Reads a chunk; the messages of its items are views into it. */
export function decodeChunk(bytes: Uint8Array): ChunkItem[] {
  const flat = unpacker.unpack(bytes) as unknown[];
  const items: ChunkItem[] = [];
  for (let i = 0; i < flat.length; i += ITEM_FIELDS) {
    items.push({
      row: flat[i] as number,
      epoch: flat[i + 1] as number,
      record: flat[i + 2] as string | null,
      dueMs: flat[i + 3] as number,
      isRedelivered: flat[i + 4] as boolean,
      message: flat[i + 5] as Uint8Array,
    });
  }
  return items;
}

/** Collects outcomes until they are sent. */
export class OutcomeCollector {
  #completed: number[] = [];
  #withResult: number[] = [];
  #results: Uint8Array[] = [];
  #others: { shipmentId: number; outcome: Outcome }[] = [];
  #messages: ProgressMessage[] = [];

  get size(): number {
    return this.#completed.length + this.#withResult.length + this.#others.length;
  }

  add(shipmentId: number, outcome: Outcome): void {
    if (outcome.kind !== 'completed' || outcome.next) this.#others.push({ shipmentId, outcome });
    else if (outcome.result === null) this.#completed.push(shipmentId);
    else {
      this.#withResult.push(shipmentId);
      this.#results.push(outcome.result);
    }
  }

  /** Beside the outcome, the last message of its progress. */
  addMessage(message: ProgressMessage): void {
    this.#messages.push(message);
  }

  /** Takes what was collected. */
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
