/** `ctx.execution`: the handle of the execution that runs here. What it does not know it reads from the docket. */

import type { ChunkItem } from '../channel/protocol.js';
import { monotonicMs } from '../core/clock.js';
import { ExecutionNotFoundError, ResultsDisabledError } from '../core/errors.js';
import { DEFAULT_TOTAL } from '../core/progress.js';
import type { Disposition, ExecutionState } from '../core/states.js';
import type { ExecutionEvent } from '../tasks/events.js';
import type { Execution, ResultOptions } from '../tasks/execution.js';
import type { ExecutionProgress } from '../tasks/progress.js';
import { decodeValue } from '../wire/codec.js';
import type { Envelope } from '../wire/envelope.js';
import type { ThreadScope } from './scope.js';

/** What the handle needs of the attempt that runs. */
export interface RunningAttempt {
  readonly key: string;
  readonly item: ChunkItem;
  readonly envelope: Envelope;
  readonly scope: ThreadScope;
  /** On the monotonic clock. */
  readonly startedMs: number;
}

export class RunningExecution implements Execution<unknown> {
  readonly #attempt: RunningAttempt;
  readonly #startedAt: Date;
  /** What was read last. */
  #read: Execution<unknown> | null = null;
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
  /** Decoded anew: the body may have changed its own. */
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

  /** As others see it: what the body just reported arrives here with the next `sync()` after it was written. */
  get progress(): ExecutionProgress {
    const read = () => this.#read?.progress;
    const found = () => this.#known();
    return {
      get current() {
        return read()?.current ?? 0;
      },
      get total() {
        return read()?.total ?? DEFAULT_TOTAL;
      },
      get message() {
        return read()?.message ?? null;
      },
      get updatedAt() {
        return read()?.updatedAt ?? null;
      },
      increment: async (by) => await (await found()).progress.increment(by),
      setTotal: async (total) => await (await found()).progress.setTotal(total),
      setMessage: async (message) => await (await found()).progress.setMessage(message),
    };
  }

  async sync(): Promise<void> {
    const found = await this.#find();
    if (!found && this.#keepsState) throw new ExecutionNotFoundError(this.key);
  }

  async result(options?: ResultOptions): Promise<unknown> {
    return await (await this.#known()).result(options);
  }

  async *subscribe(): AsyncGenerator<ExecutionEvent, void> {
    yield* (await this.#known()).subscribe();
  }

  async cancel(): Promise<void> {
    await this.#attempt.scope.docket().cancel(this.key);
  }

  get #keepsState(): boolean {
    return this.#attempt.envelope.ttlMs > 0;
  }

  async #known(): Promise<Execution<unknown>> {
    if (!this.#keepsState) throw new ResultsDisabledError(this.key);
    const found = await this.#find();
    if (!found) throw new ExecutionNotFoundError(this.key);
    return found;
  }

  async #find(): Promise<Execution<unknown> | null> {
    const found = await this.#attempt.scope.docket().getExecution(this.key);
    if (found) this.#read = found;
    return found;
  }
}
