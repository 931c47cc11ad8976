/** What a body gets as `ctx`: a view of its attempt. A dependency gets one of its own, with its own `uses` on it. */

import type { Due } from '../core/due.js';
import { toMs } from '../core/duration.js';
import type {
  Logger,
  PerpetualControl,
  RetryControl,
  TaskContext,
  TaskDocket,
  TimeoutControl,
} from '../tasks/context.js';
import type { Execution } from '../tasks/execution.js';
import type { Progress } from '../tasks/progress.js';
import type { Attempt } from './attempt.js';
import { dueAfter, dueAt } from './next-run.js';

/** Thrown by `ctx.retry.after` and `.at` to leave the body; the executor makes an outcome of it. */
export class RetryRequest extends Error {
  constructor(readonly due: Due) {
    super('the task asked for another attempt');
  }
}

export class AttemptContext implements TaskContext, RetryControl {
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
  get logger(): Logger {
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

  // A property, so that it works when it is destructured; the getter keeps contexts that never ask free of it.
  get throwIfCancelled(): () => void {
    return () => this.#attempt.throwIfStopped();
  }

  get retry(): RetryControl['retry'] {
    return {
      after: (delay): never => {
        throw new RetryRequest(dueAfter(delay, 'retry.after'));
      },
      at: (when): never => {
        throw new RetryRequest(dueAt(when, 'retry.at'));
      },
    };
  }

  /** Undefined unless the task is perpetual; typed on its tasks only. */
  get perpetual(): PerpetualControl['perpetual'] | undefined {
    return this.#attempt.nextRun?.control;
  }

  /** Undefined unless the task has a timeout; typed on its tasks only. */
  get timeout(): TimeoutControl['timeout'] | undefined {
    const { clock } = this.#attempt;
    if (!clock) return undefined;
    return {
      extend: (by) => clock.extend(by === undefined ? undefined : toMs(by, 'timeout.extend')),
      remaining: () => clock.remainingMs,
    };
  }
}
