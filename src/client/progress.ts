/** `execution.progress`: the progress that was read last, and changes from outside the body. */
import { type InspectOptions, inspect } from 'node:util';
import { NO_PROGRESS, type ProgressRecord } from '../redis/record.js';
import {
  checkIncrement,
  checkMessage,
  checkTotal,
  type ExecutionProgress,
  type ProgressChange,
} from '../tasks/progress.js';
import { inspectSummary, type ProgressSummary, progressSummary } from '../tasks/summary.js';

export class HandleProgress implements ExecutionProgress {
  readonly #change: (change: ProgressChange) => Promise<ProgressRecord>;
  #record = NO_PROGRESS;

  /** `change` writes a change and returns the progress as it is then. */
  constructor(change: (change: ProgressChange) => Promise<ProgressRecord>) {
    this.#change = change;
  }

  get current(): number {
    return this.#record.current;
  }
  get total(): number {
    return this.#record.total;
  }
  get message(): string | null {
    return this.#record.message;
  }
  get updatedAt(): Date | null {
    return this.#record.updatedMs === null ? null : new Date(this.#record.updatedMs);
  }

  toJSON(): ProgressSummary {
    return progressSummary(this);
  }

  [inspect.custom](depth: number, options: InspectOptions): string {
    return inspectSummary('ExecutionProgress', this.toJSON(), depth, options);
  }

  /** Takes over the progress that was read. */
  adopt(record: ProgressRecord): void {
    this.#record = record;
  }

  async increment(by = 1): Promise<void> {
    this.#record = await this.#change({ kind: 'increment', by: checkIncrement(by) });
  }

  async setTotal(total: number): Promise<void> {
    this.#record = await this.#change({ kind: 'total', total: checkTotal(total) });
  }

  async setMessage(message: string | null): Promise<void> {
    this.#record = await this.#change({ kind: 'message', message: checkMessage(message) });
  }
}
