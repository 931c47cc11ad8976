/**
 * Runs the shipments of one thread: up to `concurrency` at once, in the order in which they came.
 *
 * Owns the rule that an attempt starts only after it has begun its row of the slot table, and does so as late as
 * possible, so that shipments that wait behind others can still be revoked. Knows nothing of Redis, leases or the
 * coordinator.
 */

import { setImmediate, setTimeout } from 'node:timers'; // not the global ones, which tasks may replace
import {
  type ChunkItem,
  type Outcome,
  type OutcomeBatch,
  OutcomeCollector,
  REPORT_AFTER_MS,
} from '../channel/protocol.js';
import { type SlotTable, shipmentIdOf } from '../channel/slots.js';
import { monotonicMs } from '../core/clock.js';
import { Queue } from '../core/queue.js';
import type { TaskDocket, TaskLogger, ThreadContext } from '../tasks/context.js';
import type { LoadedTasks } from '../tasks/loader.js';
import { definitionOf } from '../tasks/task.js';
import { Envelope } from '../wire/envelope.js';
import { Attempt } from './attempt.js';
import { runInCleanContext } from './clean-context.js';
import { type AttemptServices, runAttempt } from './run-attempt.js';
import type { ThreadScope } from './scope.js';
import { SharedInstances } from './shared-instances.js';

export interface ExecutorOptions {
  readonly loaded: LoadedTasks;
  readonly scope: ThreadScope;
  /** Maximum number of attempts at once. */
  readonly concurrency: number;
  /** Whether the start and the end of each attempt are logged, at `debug`. */
  readonly logsAttempts: boolean;
  /** Sends outcomes, of any chunks, and the numbers of the chunks that are over. */
  readonly report: (batch: OutcomeBatch, over: readonly number[]) => void;
}

/**
 * The time for which outcomes without a result are collected while the thread has work ahead. Each message wakes two threads,
 * which costs as much as running the tasks.
 */
const COLLECT_MS = 3;
/** The number of items that must wait for each place. The coordinator sends more before they have started. */
const AHEAD_PER_PLACE = 0.25;

interface Chunk {
  readonly number: number;
  /** Number of items that are not over. */
  left: number;
}

export class Executor {
  readonly #options: ExecutorOptions;
  readonly #slots: SlotTable;
  readonly #shared: SharedInstances;
  readonly #services: AttemptServices;
  readonly #waiting = new Queue<{ readonly item: ChunkItem; readonly chunk: Chunk }>();
  readonly #running = new Set<Attempt>();
  /** What has ended and was not reported, of all chunks. */
  readonly #outcomes = new OutcomeCollector();
  /** Numbers of chunks that are over, which was not reported. */
  #over: number[] = [];
  /** Number of chunks that are not over. */
  #chunksLeft = 0;
  #isPumping = false;
  #isReportScheduled = false;
  #isCollecting = false;
  /** When the oldest outcome was added that is not reported and should be soon. */
  #unreportedSinceMs = Number.POSITIVE_INFINITY;
  /** Maximum age of an outcome that is not reported when the next attempt starts. */
  #patienceMs = REPORT_AFTER_MS;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    const { loaded, scope, logsAttempts } = options;
    this.#slots = scope.slots;
    this.#shared = new SharedInstances(() => new SharedContext(scope));
    this.#services = { uses: loaded.uses, shared: this.#shared, logsAttempts, tracing: scope.tracing };
  }

  /** Runs a chunk with a number, by which its end is reported. */
  run(number: number, items: readonly ChunkItem[], patienceMs = REPORT_AFTER_MS): void {
    if (this.#unreportedSinceMs !== Number.POSITIVE_INFINITY) this.flush(); // a body of this chunk may block the event loop
    this.#patienceMs = patienceMs;
    const chunk: Chunk = { number, left: items.length };
    for (const item of items) this.#waiting.push({ item, chunk });
    this.#chunksLeft += 1;
    this.#pump();
  }

  /** Reports what there is. When the thread ends, executions whose outcome was not reported would run again. */
  flush(): void {
    this.#unreportedSinceMs = Number.POSITIVE_INFINITY;
    if (this.#outcomes.isEmpty && this.#over.length === 0) return;
    const over = this.#over;
    this.#over = [];
    this.#options.report(this.#outcomes.take(), over);
  }

  /** Finds the attempts that must stop, and aborts their signals. */
  attend(): void {
    for (const attempt of this.#running) attempt.abortIfStopped();
  }

  /** Cleans up the shared dependencies, because the thread is about to end. Logs failures; never rejects. */
  async dispose(): Promise<void> {
    await this.#shared.dispose(this.#options.scope.logger({}));
  }

  /** Starts as many items as may run. A loop and not recursion: a chunk of synchronous tasks ends within one call. */
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
    if (nowMs - this.#unreportedSinceMs > this.#patienceMs) this.flush();
    if (!this.#slots.begin(item.row, item.epoch, nowMs)) {
      this.#slots.skip(item.row, item.epoch); // revoked: it runs elsewhere
      this.#advance(chunk);
      return;
    }
    const envelope = new Envelope(item.message);
    const known = this.#options.loaded.tasks.get(envelope.task) ?? this.#options.loaded.fallback;
    if (!known) {
      this.#end(item, chunk, { kind: 'unknown-task' }, undefined);
      return;
    }
    const attempt = new Attempt(item, envelope, definitionOf(known), this.#options.scope, nowMs);
    this.#running.add(attempt);
    runInCleanContext(() => runAttempt(attempt, this.#services)).then((outcome) => {
      this.#running.delete(attempt);
      this.#end(item, chunk, outcome, attempt.end());
      this.#pump();
    });
  }

  /** @param message - the last progress message; `undefined` when there was none */
  #end(item: ChunkItem, chunk: Chunk, outcome: Outcome, message: string | null | undefined): void {
    const endedMs = monotonicMs();
    const isSilent = outcome.kind === 'completed' && outcome.result === null && !outcome.next;
    const isReturned = isSilent && message === undefined;
    this.#slots.end(item.row, item.epoch, endedMs, isReturned);
    const canWait = isReturned && this.#hasWorkAhead; // and if a body blocks, it is found in the slot table
    if (!canWait) this.#unreportedSinceMs = Math.min(this.#unreportedSinceMs, endedMs);
    const shipmentId = shipmentIdOf(item.row, item.epoch);
    this.#outcomes.add(shipmentId, outcome);
    if (message !== undefined) this.#outcomes.addMessage({ shipmentId, message });
    this.#advance(chunk);
  }

  /**
   * Whether enough items wait that no place will be empty before the coordinator has sent more. A thread with one place is
   * kept busy by chunks that are reported as a whole.
   */
  get #hasWorkAhead(): boolean {
    const { concurrency } = this.#options;
    return concurrency > 1 && this.#waiting.length >= concurrency * AHEAD_PER_PLACE;
  }

  /**
   * One more item of the chunk is over. Reports at once when it was the last one of all, else at the end of this turn, or of
   * several turns if nothing needs a report soon.
   */
  #advance(chunk: Chunk): void {
    chunk.left -= 1;
    if (chunk.left === 0) {
      this.#chunksLeft -= 1;
      this.#over.push(chunk.number);
    }
    if (this.#chunksLeft === 0) this.flush();
    else if (this.#unreportedSinceMs === Number.POSITIVE_INFINITY && this.#hasWorkAhead) this.#collect();
    else if (!this.#isReportScheduled) {
      this.#isReportScheduled = true;
      setImmediate(this.#reportTurn);
    }
  }

  #collect(): void {
    if (this.#isCollecting) return;
    this.#isCollecting = true;
    setTimeout(this.#reportCollected, COLLECT_MS);
  }

  readonly #reportCollected = () => {
    this.#isCollecting = false;
    this.flush();
  };

  readonly #reportTurn = () => {
    this.#isReportScheduled = false;
    this.flush();
  };
}

/** The context of the factory of a shared dependency. The docket is opened by the first one that uses it. */
export class SharedContext implements ThreadContext {
  readonly worker: ThreadContext['worker'];
  readonly #scope: ThreadScope;
  #logger: TaskLogger | undefined;

  constructor(scope: ThreadScope) {
    this.#scope = scope;
    this.worker = scope.worker;
  }

  get logger(): TaskLogger {
    this.#logger ??= this.#scope.logger({});
    return this.#logger;
  }
  get docket(): TaskDocket {
    return this.#scope.docket();
  }
}
