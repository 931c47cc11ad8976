/** The context of one attempt: made for every execution, so everything that costs is made on first use. */
import type { Duration } from '../core/duration.js';
import { toMs } from '../core/duration.js';
import type { Envelope } from '../core/envelope.js';
import { InvalidOptionError } from '../core/errors.js';
import type { ChunkItem } from '../core/protocol.js';
import type { SlotTable } from '../core/slots.js';
import type { Logger, RetryControl, TaskContext, TaskDocket } from '../tasks/context.js';
import type { RetryDue } from '../tasks/decide.js';

/** What all attempts on one thread share. */
export interface ThreadScope {
  readonly slots: SlotTable;
  readonly worker: { readonly name: string; readonly threadId: number };
  /** The thread's own docket, opened on first use. */
  docket(): TaskDocket;
  logger(fields: Readonly<Record<string, unknown>>): Logger;
}

/** Thrown by `ctx.retry.after` and `.at` to leave the body; the executor makes an outcome of it. */
export class RetryRequest extends Error {
  constructor(readonly due: RetryDue) {
    super('the task asked for another attempt');
  }
}

/** The reason of `ctx.signal` when a worker that stops can wait no longer. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  constructor() {
    super('the worker ends this attempt, because it stops or lost the lease: it runs again elsewhere, uncharged');
  }
}

export class AttemptContext implements TaskContext, RetryControl {
  readonly #item: ChunkItem;
  readonly #envelope: Envelope;
  readonly #scope: ThreadScope;
  #aborting: AbortController | undefined;
  #logger: Logger | undefined;

  constructor(item: ChunkItem, envelope: Envelope, scope: ThreadScope) {
    this.#item = item;
    this.#envelope = envelope;
    this.#scope = scope;
  }

  get key(): string {
    return this.#item.record ?? this.#envelope.id ?? '';
  }
  get attempt(): number {
    return this.#envelope.attempt;
  }
  get redelivered(): boolean {
    return this.#item.isRedelivered;
  }
  get when(): Date {
    return new Date(this.#item.dueMs);
  }
  get worker(): { readonly name: string; readonly threadId: number } {
    return this.#scope.worker;
  }
  get docket(): TaskDocket {
    return this.#scope.docket();
  }
  get logger(): Logger {
    const { task, attempt } = this.#envelope;
    this.#logger ??= this.#scope.logger({ task, key: this.key, attempt });
    return this.#logger;
  }

  get signal(): AbortSignal {
    if (!this.#aborting) {
      this.#aborting = new AbortController();
      this.wake();
    }
    return this.#aborting.signal;
  }

  get cancelled(): boolean {
    return this.#scope.slots.isCancelled(this.#item.row, this.#item.epoch);
  }

  // A property, so that it works when it is destructured; the getter keeps contexts that never ask free of it.
  get throwIfCancelled(): () => void {
    return () => {
      if (this.cancelled) throw new InterruptedError();
    };
  }

  get retry(): RetryControl['retry'] {
    return {
      after: (delay: Duration): never => {
        throw new RetryRequest({ delayMs: toMs(delay, 'retry.after') });
      },
      at: (when: Date): never => {
        if (!(when instanceof Date) || Number.isNaN(when.getTime())) {
          throw new InvalidOptionError('retry.at', 'expected a valid date');
        }
        throw new RetryRequest({ atMs: when.getTime() });
      },
    };
  }

  /** Fires the signal if the attempt was cancelled; called when the thread is told to look. */
  wake(): void {
    if (this.cancelled) this.#aborting?.abort(new InterruptedError());
  }
}
