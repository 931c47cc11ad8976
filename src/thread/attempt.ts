/**
 * One attempt as the executor sees it: whether it must end, and why. Made for every execution, so everything that costs
 * is made on first use.
 */

import type { ChunkItem } from '../channel/protocol.js';
import { StopReason } from '../channel/slots.js';
import { ExecutionCancelledError, type TimeoutError } from '../core/errors.js';
import type { Logger } from '../tasks/context.js';
import type { TaskDefinition } from '../tasks/task.js';
import type { Envelope } from '../wire/envelope.js';
import { Clock } from './clock.js';
import { NextRunRequest } from './next-run.js';
import { AttemptProgress } from './progress.js';
import { RunningExecution } from './running-execution.js';
import type { ThreadScope } from './scope.js';

/** The reason of `ctx.signal` when a worker that stops can wait no longer. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  constructor() {
    super('the worker ends this attempt, because it stops or lost the lease: it runs again elsewhere, uncharged');
  }
}

export class Attempt {
  readonly item: ChunkItem;
  readonly envelope: Envelope;
  readonly task: TaskDefinition;
  readonly scope: ThreadScope;
  /** On the monotonic clock. */
  readonly startedMs: number;
  /** `null` without a timeout. */
  readonly clock: Clock | null;
  /** What it threw, once it is over. */
  failure: { readonly error: unknown } | undefined;
  #aborting: AbortController | undefined;
  #logger: Logger | undefined;
  #execution: RunningExecution | undefined;
  #nextRun: NextRunRequest | undefined;
  #progress: AttemptProgress | undefined;

  constructor(item: ChunkItem, envelope: Envelope, task: TaskDefinition, scope: ThreadScope, startedMs: number) {
    this.item = item;
    this.envelope = envelope;
    this.task = task;
    this.scope = scope;
    this.startedMs = startedMs;
    this.clock = task.policies.timeoutMs === undefined ? null : this.#makeClock(task.policies.timeoutMs);
  }

  get key(): string {
    return this.item.record ?? this.envelope.id ?? '';
  }

  get logger(): Logger {
    const { task, attempt } = this.envelope;
    this.#logger ??= this.scope.logger({ task, key: this.key, attempt });
    return this.#logger;
  }

  get execution(): RunningExecution {
    this.#execution ??= new RunningExecution(this);
    return this.#execution;
  }

  get progress(): AttemptProgress {
    const isKept = this.item.record !== null && this.envelope.ttlMs > 0;
    this.#progress ??= new AttemptProgress(this.scope, this.item, isKept);
    return this.#progress;
  }

  /** The attempt is over: what it says of its progress from now on is lost. Answers with its last message, if it set any. */
  endProgress(): string | null | undefined {
    return this.#progress?.end();
  }

  /** What a perpetual task says of its next run. */
  get nextRun(): NextRunRequest | null {
    const { perpetual } = this.task.policies;
    if (!perpetual) return null;
    this.#nextRun ??= new NextRunRequest(perpetual, this.envelope.task, this.scope.maxPayloadBytes);
    return this.#nextRun;
  }

  /** What was said of the next run, without making room for it. */
  get saidOfNextRun(): NextRunRequest | undefined {
    return this.#nextRun;
  }

  get signal(): AbortSignal {
    if (!this.#aborting) {
      this.#aborting = new AbortController();
      this.wake();
    }
    return this.#aborting.signal;
  }

  /** Fires the signal if the attempt must end; called when the thread is told to look, and by the timer. */
  wake(): void {
    if (!this.#aborting || this.#aborting.signal.aborted) return;
    const reason = this.reasonToStop();
    if (reason) this.#aborting.abort(reason);
  }

  /** Why the attempt must end, if it must. A cancel comes first, because nothing follows it. */
  reasonToStop(): Error | null {
    const reason = this.stopReason;
    if (reason === StopReason.cancelled) return new ExecutionCancelledError(this.key);
    return this.timedOut ?? (reason === StopReason.interrupted ? new InterruptedError() : null);
  }

  throwIfStopped(): void {
    const reason = this.reasonToStop();
    if (reason) throw reason;
  }

  /** Cheap enough for every turn of a busy loop: a load from shared memory, and a look at the clock if there is one. */
  get mustStop(): boolean {
    return this.stopReason !== null || this.timedOut !== null;
  }

  get stopReason(): StopReason | null {
    return this.scope.slots.stopReason(this.item.row, this.item.epoch);
  }

  get timedOut(): TimeoutError | null {
    return this.clock === null ? null : this.clock.timedOut;
  }

  #makeClock(timeoutMs: number): Clock {
    return new Clock({
      task: this.envelope.task,
      timeoutMs,
      announce: (deadlineMs) => this.scope.slots.setDeadline(this.item.row, deadlineMs),
      onTimeout: () => this.wake(),
    });
  }
}
