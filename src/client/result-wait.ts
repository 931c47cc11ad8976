/**
 * One wait of `result()`: for the end of an execution, a timeout, an abort, or the close of the docket. The first of them ends
 * the wait, and everything that it has set up is taken down then.
 *
 * The event that ends the execution usually brings its outcome. A look brings it when the execution ended before the wait
 * listened, and after the listener may have missed an event. In all other cases the record is read. If a worker has moved the
 * execution to another partition, the wait goes on there.
 */
import { onAbort } from '../core/abort.js';
import { ExecutionNotFoundError, RedisUnavailableError, TimeoutError } from '../core/errors.js';
import { LONGEST_TIMER_MS } from '../core/service.js';
import { isTerminal } from '../core/states.js';
import type { RecordEvent } from '../redis/events.js';
import { type ExecutionRecord, NO_PROGRESS } from '../redis/record.js';
import type { ExecutionSource } from './execution-source.js';
import type { EventCallback } from './listener.js';

/**
 * The time until the first look of a wait that has missed nothing, unless a whole execution has overtaken the subscription that
 * was sent with its `add`. Most such executions have ended by then, and none of them needs a look.
 */
const LATE_LOOK_MS = 50;

type WaitSource = Pick<ExecutionSource, 'closed' | 'look' | 'watch' | 'hasHeardAll'>;

export interface ResultWaitOptions<R> {
  /** Returns the access to the partition in which the execution was found last. */
  source(): WaitSource;
  readonly key: string;
  readonly generation: number;
  /** The longest wait in milliseconds; `null` waits for ever. */
  readonly waitMs: number | null;
  readonly signal: AbortSignal | undefined;
  /** Returns the name of the task, which events lack. */
  task(): string;
  /** Whether the arguments are known. If not, they are in the message, which only the record has. */
  hasArguments(): boolean;
  /** Reads the record of this placement; `null` when there is none. */
  read(): Promise<ExecutionRecord | null>;
  /** Takes over the record of the execution that has ended, and returns its outcome. Throws when that cannot be decoded. */
  take(record: ExecutionRecord): R | Promise<R>;
}

/** Resolves with the result of an execution. */
export function waitForResult<R>(options: ResultWaitOptions<R>): Promise<R> {
  return new Promise((resolve, reject) => new ResultWait(options, resolve, reject).start());
}

class ResultWait<R> {
  readonly #options: ResultWaitOptions<R>;
  readonly #resolve: (outcome: R | Promise<R>) => void;
  readonly #reject: (error: unknown) => void;
  /** An AbortController instead would cost more than all the rest of a wait (measured). */
  readonly #cleanUps: (() => unknown)[] = [];
  #isOver = false;
  /** Where the wait listens, or is about to. */
  #watched: WaitSource | undefined;

  constructor(
    options: ResultWaitOptions<R>,
    resolve: (outcome: R | Promise<R>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { key, waitMs, signal } = this.#options;
    const source = this.#options.source();
    if (waitMs !== null) {
      const expired = () => this.#fail(new TimeoutError(`execution '${key}' did not end within ${waitMs} ms`));
      this.#cleanUps.push(callAfter(waitMs, expired));
    }
    for (const ending of [signal, source.closed]) {
      if (ending) this.#cleanUps.push(onAbort(ending, () => this.#fail(ending.reason)));
    }
    this.#watch(source, (error) => this.#fail(error));
  }

  /** Listens in a partition. Once every later event there is heard, it looks for those that it has missed. */
  #watch(source: WaitSource, onFailure: (error: unknown) => void): void {
    const { key } = this.#options;
    this.#watched = source;
    source.watch(key, this.#onEvent, 'ends').then((stop) => {
      if (this.#isOver) return stop();
      this.#cleanUps.push(stop);
      if (source.hasHeardAll(key)) this.#cleanUps.push(callAfter(LATE_LOOK_MS, this.#tryLook));
      else this.#tryLook();
    }, onFailure);
  }

  /** Goes on in the partition to which the execution was moved. If that fails, the next reading of the record tries it again. */
  #follow(source: WaitSource): void {
    const before = this.#watched;
    this.#watch(source, (error) => {
      this.#watched = before;
      this.#failUnlessRepeated(error);
    });
  }

  readonly #onEvent: EventCallback = (event) => {
    if (this.#isOver || (event !== null && !this.#mayEnd(event))) return;
    if (event === null) this.#tryLook();
    else if (!this.#settleBy(event)) this.#readRecord().catch(this.#failUnlessRepeated);
  };

  /** A read that fails with its connection is repeated: the listener asks every watcher to read again. */
  readonly #failUnlessRepeated = (error: unknown) => {
    if (!(error instanceof RedisUnavailableError)) this.#fail(error);
  };

  readonly #tryLook = () => {
    this.#look().catch(this.#failUnlessRepeated);
  };

  async #look(): Promise<void> {
    if (this.#isOver) return;
    const { key, generation, hasArguments } = this.#options;
    const found = await this.#options.source().look({ key, generation });
    if (this.#isOver || found === 'open') return;
    if (found === 'unclear' || !hasArguments()) await this.#readRecord();
    else this.#settle(found);
  }

  async #readRecord(): Promise<void> {
    const { key, read, source } = this.#options;
    const record = await read();
    if (this.#isOver) return;
    if (!record) throw new ExecutionNotFoundError(key);
    if (isTerminal(record.state)) this.#settle(record);
    else if (source() !== this.#watched) this.#follow(source());
  }

  /** Ends the wait by an event. Returns false when the record has to be read, because it has more to tell than the event. */
  #settleBy(event: RecordEvent): boolean {
    const record = this.#recordAfter(event);
    if (!record) return false;
    try {
      this.#settle(record);
      return true;
    } catch {
      return false; // no script has published that: the record has the outcome
    }
  }

  #settle(record: ExecutionRecord): void {
    const outcome = this.#options.take(record);
    this.#end();
    this.#resolve(outcome);
  }

  #fail(error: unknown): void {
    this.#end();
    this.#reject(error);
  }

  #end(): void {
    this.#isOver = true;
    for (const cleanUp of this.#cleanUps) cleanUp();
  }

  /** Whether a result may be known after this event: it ends the execution, or comes from a newer one under the key. */
  #mayEnd(event: RecordEvent): boolean {
    return event.generation > this.#options.generation || (event.kind === 'state' && isTerminal(event.state));
  }

  /** Returns the record as it is after an event that ends the execution; `null` when the event does not tell all of it. */
  #recordAfter(event: RecordEvent): ExecutionRecord | null {
    const { generation, task, hasArguments } = this.#options;
    if (event.kind !== 'state' || !event.outcome || event.generation !== generation) return null;
    if (!isTerminal(event.state) || !hasArguments()) return null;
    const { state, dueMs, startedMs, completedMs, attempt, worker, errorLine, timeUs } = event;
    const { result, error } = event.outcome;
    return {
      generation,
      task: task(),
      state,
      dueMs,
      startedMs,
      completedMs,
      attempt,
      worker,
      errorLine,
      result,
      error,
      progress: NO_PROGRESS,
      readUs: timeUs,
      waitingFor: null,
      message: null,
    };
  }
}

/**
 * Calls back after `ms` unless the returned function is called first. Longer waits are split into legs: a timer of Node
 * holds 24 days at most and fires at once beyond that.
 */
function callAfter(ms: number, callback: () => void): () => void {
  let leftMs = ms;
  let timer: NodeJS.Timeout;
  const wait = () => {
    const legMs = Math.min(leftMs, LONGEST_TIMER_MS);
    leftMs -= legMs;
    timer = setTimeout(() => (leftMs > 0 ? wait() : callback()), legMs);
  };
  wait();
  return () => clearTimeout(timer);
}
