/**
 * Runs the executions that were shipped to one thread: up to `concurrency` at once, in the order they came.
 *
 * Owns the rule that an execution starts only after it won its slot, and starts as late as possible: what waits behind
 * others can still be taken back. Knows nothing of Redis, leases or the coordinator.
 */
import { types } from 'node:util';
import { decodeValue, encodeError, encodeValue } from '../core/codec.js';
import { Envelope } from '../core/envelope.js';
import {
  ResultTooLargeError,
  RetriesExhaustedError,
  UndecodableValueError,
  UnencodableValueError,
} from '../core/errors.js';
import { type ChunkItem, type Outcome, type OutcomeBatch, OutcomeCollector } from '../core/protocol.js';
import { Queue } from '../core/queue.js';
import { monotonicMs, type SlotTable, ticketOf } from '../core/slots.js';
import { decide, type Ending } from '../tasks/decide.js';
import { type AnyTask, definitionOf, type TaskDefinition } from '../tasks/task.js';
import { AttemptContext, RetryRequest, type ThreadScope } from './context.js';

export interface ExecutorOptions {
  readonly tasks: ReadonlyMap<string, AnyTask>;
  readonly scope: ThreadScope;
  readonly concurrency: number;
  /** Largest encoded result in bytes. */
  readonly maxResultBytes: number;
  /** Takes outcomes that should not wait for the end of their chunk. */
  readonly report: (batch: OutcomeBatch) => void;
}

/**
 * Outcomes wait for company at most this long while their chunk goes on. By a timer, and before each start: what starts
 * may hold the event loop, and with it the timer, for long. Results that are younger then wait for it; what has none the
 * coordinator takes from the slot table.
 */
const REPORT_AFTER_MS = 0.5;

interface Chunk {
  readonly outcomes: OutcomeCollector;
  left: number;
  reportTimer: NodeJS.Timeout | undefined;
  readonly done: (rest: OutcomeBatch) => void;
}

export class Executor {
  readonly #options: ExecutorOptions;
  readonly #slots: SlotTable;
  readonly #waiting = new Queue<{ readonly item: ChunkItem; readonly chunk: Chunk }>();
  readonly #running = new Set<AttemptContext>();
  readonly #chunks = new Set<Chunk>();
  #isPumping = false;
  /** When the oldest outcome ended that is not reported. */
  #unreportedSinceMs = Number.POSITIVE_INFINITY;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#slots = options.scope.slots;
  }

  /** Runs a chunk; resolves when all of it is over, with the outcomes that were not reported before. */
  run(items: readonly ChunkItem[]): Promise<OutcomeBatch> {
    return new Promise((done) => {
      const chunk: Chunk = { outcomes: new OutcomeCollector(), left: items.length, reportTimer: undefined, done };
      for (const item of items) this.#waiting.push({ item, chunk });
      this.#chunks.add(chunk);
      this.#pump();
    });
  }

  /** Reports what has ended: the thread is about to, and what is not reported would run again. */
  flush(): void {
    this.#unreportedSinceMs = Number.POSITIVE_INFINITY;
    for (const chunk of this.#chunks) this.#report(chunk);
  }

  /** Looks which runs were cancelled and fires their signals. */
  attend(): void {
    for (const context of this.#running) context.wake();
  }

  /** Starts what may start. A loop, not recursion: a chunk of synchronous tasks ends within one call. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#waiting.length > 0 && this.#running.size < this.#options.concurrency) {
      const { item, chunk } = this.#waiting.shift()!;
      this.#start(item, chunk);
    }
    this.#isPumping = false;
  }

  #start(item: ChunkItem, chunk: Chunk): void {
    const nowMs = monotonicMs();
    if (nowMs - this.#unreportedSinceMs > REPORT_AFTER_MS) this.flush();
    if (!this.#slots.begin(item.row, item.epoch, nowMs)) {
      this.#advance(chunk); // taken back: it runs elsewhere
      return;
    }
    const envelope = new Envelope(item.message);
    const context = new AttemptContext(item, envelope, this.#options.scope);
    this.#running.add(context);
    this.#attempt(envelope, context).then((outcome) => {
      this.#running.delete(context);
      const endedMs = monotonicMs();
      this.#slots.end(item.row, item.epoch, endedMs, outcome.kind === 'completed' && outcome.result === null);
      this.#unreportedSinceMs = Math.min(this.#unreportedSinceMs, endedMs);
      chunk.outcomes.add(ticketOf(item.row, item.epoch), outcome);
      this.#advance(chunk);
      this.#pump();
    });
  }

  /** One attempt, from arguments to outcome. Never rejects. */
  async #attempt(envelope: Envelope, context: AttemptContext): Promise<Outcome> {
    const known = this.#options.tasks.get(envelope.task);
    if (!known) return { kind: 'unknown' };
    const task = definitionOf(known);
    try {
      const result = await task.run(decodeValue(envelope.args), context);
      return { kind: 'completed', result: this.#encodeResult(task.name, result) };
    } catch (error) {
      // Whatever it threw: timers and drivers make an error of their own of a signal that fires.
      if (context.cancelled) return { kind: 'interrupted' };
      return failureOf(error, task, envelope.attempt);
    }
  }

  #encodeResult(task: string, result: unknown): Buffer | null {
    if (result === undefined) return null;
    const bytes = encodeValue(result, 'result');
    if (bytes.length > this.#options.maxResultBytes) {
      throw new ResultTooLargeError(task, bytes.length, this.#options.maxResultBytes);
    }
    return bytes;
  }

  #advance(chunk: Chunk): void {
    chunk.left -= 1;
    if (chunk.left === 0) {
      clearTimeout(chunk.reportTimer);
      this.#chunks.delete(chunk);
      chunk.done(chunk.outcomes.take());
    } else if (!chunk.reportTimer && chunk.outcomes.size > 0) {
      chunk.reportTimer = setTimeout(() => this.#report(chunk), REPORT_AFTER_MS);
    }
  }

  #report(chunk: Chunk): void {
    chunk.reportTimer = undefined;
    if (chunk.outcomes.size > 0) this.#options.report(chunk.outcomes.take());
  }
}

function failureOf(error: unknown, task: TaskDefinition, attempt: number): Outcome {
  const ending = endingOf(error);
  const decision = decide(task.policies, attempt, ending);
  if (decision.kind === 'retry') return { kind: 'retry', due: decision.due, line: lineOf(error) };
  const final = ending.kind === 'asked' ? new RetriesExhaustedError(task.name, attempt) : error;
  return { kind: 'failed', error: new Uint8Array(encodeError(final)), line: lineOf(final) }; // a copy: not the pool
}

/** What the next attempt would only meet again. */
const FINAL_ERRORS = [ResultTooLargeError, UnencodableValueError, UndecodableValueError];

function endingOf(error: unknown): Ending {
  if (types.isProxy(error)) return { kind: 'threw', isRetryable: true }; // `instanceof` would run its traps
  if (error instanceof RetryRequest) return { kind: 'asked', due: error.due };
  const isRetryable = !FINAL_ERRORS.some((final) => error instanceof final);
  return { kind: 'threw', isRetryable };
}

/** The error in one line, for records and logs. */
function lineOf(error: unknown): string {
  try {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return text.split('\n', 1)[0]!.slice(0, 500);
  } catch {
    return 'an error that cannot be shown';
  }
}
