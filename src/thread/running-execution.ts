/**
 * `ctx.execution`: the handle of the execution that runs here. It starts with the data of the attempt and reads the
 * rest from the docket.
 *
 * Owns the rule that it never changes another execution. The key may belong to one while the attempt still runs, because
 * it was replaced or lost its lease, so writes name the token of the delivery. Nothing is written after the attempt has
 * ended.
 */

import { type InspectOptions, inspect } from 'node:util';
import type { ChunkItem } from '../channel/protocol.js';
import { internalsOf } from '../client/internals.js';
import { monotonicMs } from '../core/clock.js';
import { AttemptEndedError, ExecutionNotFoundError, ResultsDisabledError } from '../core/errors.js';
import { DEFAULT_TOTAL } from '../core/progress.js';
import type { Disposition, ExecutionState } from '../core/states.js';
import type { CancelResult } from '../tasks/cancelling.js';
import type { ExecutionEvent } from '../tasks/events.js';
import type { Execution, ResultOptions, SubscribeOptions } from '../tasks/execution.js';
import {
  checkIncrement,
  checkMessage,
  checkTotal,
  type ExecutionProgress,
  type ProgressChange,
} from '../tasks/progress.js';
import {
  type ExecutionSummary,
  executionSummary,
  inspectSummary,
  type ProgressSummary,
  progressSummary,
} from '../tasks/summary.js';
import { decodeValue } from '../wire/codec.js';
import type { Envelope } from '../wire/envelope.js';
import type { ThreadScope } from './scope.js';

const NO_PROGRESS = { current: 0, total: DEFAULT_TOTAL, message: null, updatedAt: null };

/** The members of the running attempt that the handle needs. */
export interface RunningAttempt {
  readonly key: string;
  readonly item: ChunkItem;
  readonly envelope: Envelope;
  readonly scope: ThreadScope;
  /** On the monotonic clock. */
  readonly startedMs: number;
  readonly hasEnded: boolean;
}

export class RunningExecution implements Execution<unknown> {
  readonly #attempt: RunningAttempt;
  readonly #startedAt: Date;
  /** The execution as it was last read from the docket. */
  #read: Execution<unknown> | null = null;
  /** The progress as it was last read or changed. */
  #progress: Pick<ExecutionProgress, 'current' | 'total' | 'message' | 'updatedAt'> = NO_PROGRESS;
  #args: { readonly value: unknown } | undefined;

  constructor(attempt: RunningAttempt) {
    this.#attempt = attempt;
    this.#startedAt = new Date(Date.now() - (monotonicMs() - attempt.startedMs));
  }

  get key(): string {
    return this.#attempt.key;
  }
  get task(): string {
    return this.#attempt.envelope.task;
  }
  /** Decoded again, because the body may have changed its arguments. */
  get args(): unknown {
    this.#args ??= { value: decodeValue(this.#attempt.envelope.args) };
    return this.#args.value;
  }
  get when(): Date {
    return this.#read?.when ?? new Date(this.#attempt.item.dueMs);
  }
  get disposition(): Disposition {
    return 'scheduled';
  }
  get attempt(): number {
    return this.#read?.attempt ?? this.#attempt.envelope.attempt;
  }
  get state(): ExecutionState {
    return this.#read?.state ?? 'running';
  }
  get worker(): string | null {
    return this.#read ? this.#read.worker : this.#attempt.scope.worker.name;
  }
  get startedAt(): Date | null {
    return this.#read ? this.#read.startedAt : this.#startedAt;
  }
  get completedAt(): Date | null {
    return this.#read?.completedAt ?? null;
  }
  get error(): string | null {
    return this.#read?.error ?? null;
  }
  get waitingFor(): string | null {
    return this.#read?.waitingFor ?? null;
  }

  /** The progress as others see it. A report of the body arrives here with the first `sync()` after it was written. */
  get progress(): ExecutionProgress {
    const seen = () => this.#progress;
    return {
      get current() {
        return seen().current;
      },
      get total() {
        return seen().total;
      },
      get message() {
        return seen().message;
      },
      get updatedAt() {
        return seen().updatedAt;
      },
      increment: async (by = 1) => await this.#changeProgress({ kind: 'increment', by: checkIncrement(by) }),
      setTotal: async (total) => await this.#changeProgress({ kind: 'total', total: checkTotal(total) }),
      setMessage: async (message) => await this.#changeProgress({ kind: 'message', message: checkMessage(message) }),
      toJSON(): ProgressSummary {
        return progressSummary(this);
      },
    };
  }

  async #changeProgress(change: ProgressChange): Promise<void> {
    this.#refuseWhenEnded('ctx.execution.progress');
    const { token, partition } = this.#attempt.item;
    if (!this.#keepsState || token === null) throw new ResultsDisabledError(this.key);
    const internals = internalsOf(this.#attempt.scope.docket());
    const { updatedMs, ...values } = await internals.changeOwnProgress({ key: this.key, token, partition }, change);
    this.#progress = { ...values, updatedAt: updatedMs === null ? null : new Date(updatedMs) };
  }

  toJSON(): ExecutionSummary {
    return executionSummary(this);
  }

  [inspect.custom](depth: number, options: InspectOptions): string {
    return inspectSummary('Execution', this.toJSON(), depth, options);
  }

  async sync(): Promise<void> {
    const found = await this.#readAgain();
    if (!found && this.#keepsState) throw new ExecutionNotFoundError(this.key);
  }

  async result(options?: ResultOptions): Promise<unknown> {
    return await (await this.#readOrThrow()).result(options);
  }

  async *subscribe(options?: SubscribeOptions): AsyncGenerator<ExecutionEvent, void> {
    yield* (await this.#readOrThrow()).subscribe(options);
  }

  async cancel(): Promise<CancelResult> {
    this.#refuseWhenEnded('ctx.execution.cancel()');
    const { token, partition } = this.#attempt.item;
    const docket = this.#attempt.scope.docket();
    if (token === null) return await docket.cancel(this.key);
    return await internalsOf(docket).cancelOwn({ key: this.key, token, partition });
  }

  #refuseWhenEnded(use: string): void {
    if (this.#attempt.hasEnded) throw new AttemptEndedError(this.key, use);
  }

  get #keepsState(): boolean {
    return this.#attempt.envelope.ttlMs > 0;
  }

  async #readOrThrow(): Promise<Execution<unknown>> {
    if (!this.#keepsState) throw new ResultsDisabledError(this.key);
    const found = await this.#readAgain();
    if (!found) throw new ExecutionNotFoundError(this.key);
    return found;
  }

  async #readAgain(): Promise<Execution<unknown> | null> {
    const found = await this.#attempt.scope.docket().getExecution(this.key);
    if (found) {
      this.#read = found;
      this.#progress = found.progress;
    }
    return found;
  }
}
