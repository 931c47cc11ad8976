/** The `ctx` of a body: a view of its attempt. Each dependency gets a view of its own, which has its own `uses`. */

import { type Due, dueAfter, dueAt } from '../core/due.js';
import { toMs } from '../core/duration.js';
import { AttemptEndedError, DocketError } from '../core/errors.js';
import type {
  PerpetualControl,
  RetryControl,
  TaskContext,
  TaskDocket,
  TaskLogger,
  TimeoutControl,
} from '../tasks/context.js';
import type { Execution } from '../tasks/execution.js';
import type { Progress } from '../tasks/progress.js';
import type { Attempt } from './attempt.js';

/** Thrown by `ctx.retry.after` and `ctx.retry.at` to leave the body. It becomes the outcome `retry`. */
export class RetryRequest extends DocketError {
  readonly code = 'DOCKET_RETRY_REQUESTED';
  override get name() {
    return 'RetryRequest';
  }
  constructor(readonly due: Due) {
    super('the task asked for another attempt');
  }
}

export class AttemptContext implements TaskContext {
  readonly #attempt: Attempt;

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
  }

  get key(): string {
    return this.#attempt.key;
  }
  get attempt(): number {
    return this.#attempt.envelope.attempt;
  }
  get redelivered(): boolean {
    return this.#attempt.item.isRedelivered;
  }
  get when(): Date {
    return new Date(this.#attempt.item.dueMs);
  }
  get worker(): { readonly name: string; readonly threadId: number } {
    return this.#attempt.scope.worker;
  }
  get docket(): TaskDocket {
    return this.#attempt.scope.docket();
  }
  get logger(): TaskLogger {
    return this.#attempt.logger;
  }
  get execution(): Execution<unknown> {
    return this.#attempt.execution;
  }
  get progress(): Progress {
    return this.#attempt.progress;
  }
  get signal(): AbortSignal {
    return this.#attempt.signal;
  }
  get cancelled(): boolean {
    return this.#attempt.mustStop;
  }

  // Returns a function that works when destructured. A getter, so that contexts that never use it do not pay for it.
  get throwIfCancelled(): () => void {
    return () => this.#attempt.throwIfStopped();
  }

  /** Undefined unless the task or the execution has a retry policy. */
  get retry(): RetryControl['retry'] | undefined {
    if (!this.#attempt.policies.retry) return undefined;
    return {
      after: (delay): never => this.#retry(dueAfter(delay, 'retry.after')),
      at: (when): never => this.#retry(dueAt(when, 'retry.at')),
    };
  }

  #retry(due: Due): never {
    if (this.#attempt.hasEnded) throw new AttemptEndedError(this.key, 'ctx.retry');
    throw new RetryRequest(due);
  }

  /** Undefined unless the task or the execution is perpetual. */
  get perpetual(): PerpetualControl['perpetual'] | undefined {
    return this.#attempt.nextRun?.control;
  }

  /** Undefined unless the task or the execution has a timeout. */
  get timeout(): TimeoutControl['timeout'] | undefined {
    const { deadline } = this.#attempt;
    if (!deadline) return undefined;
    return {
      extend: (by) => deadline.extend(by === undefined ? undefined : toMs(by, 'timeout.extend')),
      remaining: () => deadline.remainingMs,
    };
  }
}
