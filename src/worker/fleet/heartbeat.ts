/**
 * Tells the fleet at an interval that this worker lives. Each answer brings the server's time and when the head of the
 * schedule is due, and says whether anything waits because no live worker had its task. If so, the heartbeat recalls what
 * waits for the tasks of this worker.
 */
import { monotonicMs } from '../../core/clock.js';
import { pause, Service } from '../../core/service.js';
import { heartbeat, recall, type WorkerReport } from '../../redis/fleet-store.js';
import type { WorkerContext } from '../context.js';
import { logRetry } from '../log-retry.js';

export interface HeartbeatOptions extends Pick<WorkerContext, 'redis' | 'keys' | 'consumer' | 'clock' | 'logger'> {
  readonly intervalMs: number;
  /** Heartbeats that may be missed before the worker is no longer listed. */
  readonly missed: number;
  /** Returns the content of the heartbeat. */
  report(): WorkerReport;
  /** Called with the milliseconds until the head of the schedule is due; `null` when nothing is scheduled. */
  onSchedule(nextInMs: number | null): void;
}

export class Heartbeat extends Service {
  readonly #options: HeartbeatOptions;
  #lastAnswerMs = 0;

  constructor(options: HeartbeatOptions) {
    super();
    this.#options = options;
  }

  /** When the server last answered a heartbeat, in milliseconds of this process' monotonic clock; 0 before the first. */
  get lastAnswerMs(): number {
    return this.#lastAnswerMs;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { redis, keys, consumer, intervalMs, missed, clock, logger, report, onSchedule } = this.#options;
    while (!signal.aborted) {
      const content = report();
      let isAnyRecallable = false;
      const askedMs = monotonicMs();
      try {
        const answer = await heartbeat(redis, keys, { consumer, ttlMs: intervalMs * missed }, content);
        clock.learn(answer.nowMs, askedMs);
        this.#lastAnswerMs = monotonicMs();
        isAnyRecallable = answer.isAnyRecallable;
        onSchedule(answer.nextInMs);
      } catch (error) {
        if (signal.aborted) return;
        logRetry(logger, error, 'the heartbeat failed');
      }
      if (isAnyRecallable && content.canClaim) await this.#recall(content.tasks, signal);
      await pause(intervalMs, signal);
    }
  }

  async #recall(tasks: readonly string[], signal: AbortSignal): Promise<void> {
    const { redis, keys, logger } = this.#options;
    try {
      let isMore = true;
      while (isMore && !signal.aborted) isMore = await recall(redis, keys, tasks);
    } catch (error) {
      logRetry(logger, error, 'recalling what was rerouted failed');
    }
  }
}
