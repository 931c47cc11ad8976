/**
 * Writes the worker's counts to the history of the docket, once for each heartbeat. The cost does not grow with the number of
 * executions.
 *
 * Owns two rules. Counts that were taken from the counters are sent in the same pages until the server answers, and the server
 * adds each page once. So nothing counts twice. While pages are unsent, no more are made, and pages that are an hour old are
 * dropped. So memory is bounded, and no page is sent after the server has forgotten its number.
 */
import { monotonicMs } from '../../core/clock.js';
import { DurationCounts } from '../../core/duration-counts.js';
import { pause, Service } from '../../core/service.js';
import type { TaskCounters, TaskCounts } from '../../observe/task-counters.js';
import {
  HISTORY_PAGE_TASKS,
  type HistoryPage,
  MINUTE_MS,
  recordHistory,
  type TaskTally,
} from '../../redis/history-store.js';
import { HISTORY, HISTORY_PAGE_MS } from '../../redis/schema.js';
import type { WorkerContext } from '../context.js';
import type { ServerClock } from '../fleet/server-clock.js';
import { logRetry } from '../log-retry.js';
import type { AttemptRecorder } from './attempt-recorder.js';

export interface HistoryWriterOptions extends Pick<WorkerContext, 'redis' | 'keys' | 'consumer' | 'logger'> {
  readonly clock: Pick<ServerClock, 'nowMs'>;
  readonly intervalMs: number;
  readonly counters: TaskCounters;
  readonly attempts: Pick<AttemptRecorder, 'onThreads'>;
}

type Tallies = readonly (readonly [label: string, TaskTally])[];

export class HistoryWriter extends Service {
  readonly #options: HistoryWriterOptions;
  readonly #increases = new Map<string, Increase>();
  #unsent: HistoryPage[] = [];
  /** When the unsent pages were made, on the monotonic clock. */
  #madeMs = 0;
  #pages = 0;

  constructor(options: HistoryWriterOptions) {
    super();
    this.#options = options;
  }

  /** Writes the rest when it is stopped, which happens after everything has been settled. */
  protected async run(signal: AbortSignal): Promise<void> {
    const { logger, intervalMs } = this.#options;
    while (!signal.aborted) {
      await pause(intervalMs, signal);
      if (signal.aborted) break;
      await this.#write((error) => {
        if (!signal.aborted) logRetry(logger, error, 'writing the history failed'); // else the last try follows
      });
    }
    await this.#write((error) =>
      logger.warn(
        { error: String(error) },
        'the last counts of this worker could not be written: they are missing from the history',
      ),
    );
  }

  async #write(onFailure: (error: unknown) => void): Promise<void> {
    if (monotonicMs() - this.#madeMs > HISTORY_PAGE_MS) this.#unsent = [];
    try {
      await this.#send();
      this.#makePages();
      await this.#send();
    } catch (error) {
      onFailure(error);
    }
  }

  /** Sends page after page: each is the next one only when the one before has been added. */
  async #send(): Promise<void> {
    const { redis, keys, consumer } = this.#options;
    for (let page = this.#unsent[0]; page; page = this.#unsent[0]) {
      await recordHistory(redis, keys, consumer, page);
      this.#unsent.shift();
    }
  }

  #makePages(): void {
    const tallies = this.#take();
    if (tallies.length === 0) return;
    this.#madeMs = monotonicMs();
    const minute = Math.floor(this.#options.clock.nowMs() / MINUTE_MS);
    const all: Tallies = [[HISTORY.all, sumOf(tallies)], ...tallies];
    for (let from = 0; from < all.length; from += HISTORY_PAGE_TASKS) {
      this.#pages += 1;
      this.#unsent.push({ number: this.#pages, minute, tallies: all.slice(from, from + HISTORY_PAGE_TASKS) });
    }
  }

  /** Takes what was counted since the last call, by label. */
  #take(): Tallies {
    const { counters, attempts } = this.#options;
    const onThreads = attempts.onThreads();
    const tallies: (readonly [string, TaskTally])[] = [];
    for (const [label, counts] of counters.tasks()) {
      const increase = this.#increases.get(label) ?? new Increase();
      this.#increases.set(label, increase);
      const tally = increase.take(counts, onThreads.get(label)?.begun ?? 0);
      if (tally) tallies.push([label, tally]);
    }
    return tallies;
  }
}

/** Finds out what the counts of one label have grown by. */
class Increase {
  #started = 0;
  #succeeded = 0;
  #failed = 0;
  #retried = 0;

  /**
   * Returns what was counted since the last call; `null` for nothing.
   * @param begun - attempts that are on the threads, which the counts do not have yet
   */
  take(counts: TaskCounts, begun: number): TaskTally | null {
    const started = Math.max(this.#started, counts.started + begun);
    const tally: TaskTally = {
      started: started - this.#started,
      succeeded: counts.succeeded - this.#succeeded,
      failed: counts.failed - this.#failed,
      retried: counts.retried - this.#retried,
      waiting: counts.punctuality.takeFine(),
      duration: counts.duration.takeFine(),
    };
    this.#started = started;
    this.#succeeded = counts.succeeded;
    this.#failed = counts.failed;
    this.#retried = counts.retried;
    const { waiting, duration } = tally;
    const sum = tally.started + tally.succeeded + tally.failed + tally.retried;
    return sum === 0 && waiting.isEmpty && duration.isEmpty ? null : tally;
  }
}

function sumOf(tallies: Tallies): TaskTally {
  const sum = { started: 0, succeeded: 0, failed: 0, retried: 0 };
  const [waiting, duration] = [new DurationCounts(), new DurationCounts()];
  for (const [, tally] of tallies) {
    for (const count of ['started', 'succeeded', 'failed', 'retried'] as const) sum[count] += tally[count];
    waiting.addAll(tally.waiting);
    duration.addAll(tally.duration);
  }
  return { ...sum, waiting, duration };
}
