/**
 * One attempt and everything that belongs to it. Owns the decision whether it must stop, and why. An attempt is
 * created for every execution, so all its expensive parts are created on first use.
 */

import type { ChunkItem } from '../channel/protocol.js';
import { StopReason } from '../channel/slots.js';
import { ExecutionCancelledError, InterruptedError, type TimeoutError } from '../core/errors.js';
import type { TaskLogger } from '../tasks/context.js';
import type { NextRunOverride } from '../tasks/next-run.js';
import { type ExecutionPolicies, policiesWith } from '../tasks/overrides.js';
import type { TaskDefinition } from '../tasks/task.js';
import type { Envelope } from '../wire/envelope.js';
import { Deadline } from './deadline.js';
import { NextRunRequest } from './next-run.js';
import { AttemptProgress } from './progress.js';
import { RunningExecution } from './running-execution.js';
import type { ThreadScope } from './scope.js';

export class Attempt {
  readonly item: ChunkItem;
  readonly envelope: Envelope;
  readonly task: TaskDefinition;
  /** The policies of the task, and the overrides of the execution. */
  readonly policies: ExecutionPolicies;
  readonly scope: ThreadScope;
  /** When it began, on the monotonic clock. */
  readonly startedMs: number;
  /** `null` when the execution has no timeout. */
  readonly deadline: Deadline | null;
  /** The error it ended with; `undefined` while it runs, and when there was none. */
  failure: { readonly error: unknown } | undefined;
  #aborting: AbortController | undefined;
  #logger: TaskLogger | undefined;
  #execution: RunningExecution | undefined;
  #nextRun: NextRunRequest | undefined;
  #progress: AttemptProgress | undefined;
  #hasEnded = false;

  constructor(item: ChunkItem, envelope: Envelope, task: TaskDefinition, scope: ThreadScope, startedMs: number) {
    this.item = item;
    this.envelope = envelope;
    this.task = task;
    this.scope = scope;
    this.startedMs = startedMs;
    this.policies = policiesWith(task.policies, envelope.overrides);
    const { timeoutMs } = this.policies;
    this.deadline = timeoutMs === undefined ? null : this.#createDeadline(timeoutMs);
  }

  /** Key of the execution, or its id when it has none. */
  get key(): string {
    return this.item.record ?? this.envelope.id ?? '';
  }

  get logger(): TaskLogger {
    const { task, attempt } = this.envelope;
    this.#logger ??= this.scope.logger({ task, key: this.key, attempt });
    return this.#logger;
  }

  get execution(): RunningExecution {
    this.#execution ??= new RunningExecution(this);
    return this.#execution;
  }

  get progress(): AttemptProgress {
    const isStored = this.item.record !== null && this.envelope.ttlMs > 0;
    if (!this.#progress) {
      this.#progress = new AttemptProgress(this.scope, this.item, isStored);
      if (this.#hasEnded) this.#progress.end(); // first used by what the body left behind: its row is another's now
    }
    return this.#progress;
  }

  /** Whether it is over. Code that its body left behind may still use its context. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** It is over: its progress writes nothing any more. Returns the last message; `undefined` when there is none. */
  end(): string | null | undefined {
    this.#hasEnded = true;
    return this.#progress?.end();
  }

  /** The requests of the body for the next run; `null` when the execution is not perpetual. */
  get nextRun(): NextRunRequest | null {
    const { perpetual } = this.policies;
    if (!perpetual) return null;
    this.#nextRun ??= new NextRunRequest(perpetual, this.envelope.task, this.scope.maxPayloadBytes);
    return this.#nextRun;
  }

  /** The changes of the body to the next run; `null` when there are none. */
  get nextRunOverride(): NextRunOverride | null {
    return this.#nextRun ? this.#nextRun.override : null;
  }

  get signal(): AbortSignal {
    if (!this.#aborting) {
      this.#aborting = new AbortController();
      this.abortIfStopped();
    }
    return this.#aborting.signal;
  }

  /**
   * Aborts the signal if the attempt must stop. Called when the coordinator has asked the thread to look, and by the
   * timer.
   */
  abortIfStopped(): void {
    if (!this.#aborting || this.#aborting.signal.aborted) return;
    const reason = this.reasonToStop();
    if (reason) this.#aborting.abort(reason);
  }

  /** Returns why the attempt must stop, if it must. A cancel comes first, because nothing follows it. */
  reasonToStop(): Error | null {
    const reason = this.stopReason;
    if (reason === StopReason.cancelled) return new ExecutionCancelledError(this.key);
    return this.timedOut ?? (reason === StopReason.interrupted ? new InterruptedError() : null);
  }

  throwIfStopped(): void {
    const reason = this.reasonToStop();
    if (reason) throw reason;
  }

  /**
   * Cheap enough for every turn of a busy loop: one load from shared memory, and a look at the clock if there is a
   * timeout.
   */
  get mustStop(): boolean {
    return this.stopReason !== null || this.timedOut !== null;
  }

  get stopReason(): StopReason | null {
    return this.scope.slots.stopReason(this.item.row, this.item.epoch);
  }

  get timedOut(): TimeoutError | null {
    return this.deadline === null ? null : this.deadline.timedOut;
  }

  #createDeadline(timeoutMs: number): Deadline {
    return new Deadline({
      task: this.envelope.task,
      timeoutMs,
      announce: (deadlineMs) => this.scope.slots.setDeadline(this.item.row, deadlineMs),
      onTimeout: () => this.abortIfStopped(),
    });
  }
}
