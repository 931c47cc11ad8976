/**
 * Tells the fleet at an interval that this worker lives. Each answer brings the server's time and when the head of the
 * schedule is due, and says whether anything waits because no live worker had its task. If so, the heartbeat recalls what
 * waits for the tasks of this worker.
 */
import { monotonicMs } from '../../core/clock.js';
import { pause, Service } from '../../core/service.js';
import { heartbeat, recall, type WorkerReport } from '../../redis/fleet-store.js';
import type { TaskManifest } from '../../tasks/manifest.js';
import type { WorkerContext } from '../context.js';
import { logRetry } from '../log-retry.js';
import { announcedPolicies } from './announced-policies.js';

/** How often the policies of the tasks are announced again: the server may have lost them. */
const POLICIES_EVERY_MS = 60_000;

export interface HeartbeatOptions extends Pick<WorkerContext, 'redis' | 'keys' | 'consumer' | 'clock' | 'logger'> {
  readonly intervalMs: number;
  /** Heartbeats that may be missed before the worker is no longer listed. */
  readonly missed: number;
  /** Returns the content of the heartbeat. */
  report(): WorkerReport;
  /** Returns the tasks that this worker can run: the same list until they change. */
  tasks(): readonly TaskManifest[];
  /** Called with the milliseconds until the head of the schedule is due; `null` when nothing is scheduled. */
  onSchedule(nextInMs: number | null): void;
}

export class Heartbeat extends Service {
  readonly #options: HeartbeatOptions;
  #lastAnswerMs = 0;
  /** The tasks whose policies were announced last, and when. */
  #announced: { readonly tasks: readonly TaskManifest[]; readonly atMs: number } | null = null;

  constructor(options: HeartbeatOptions) {
    super();
    this.#options = options;
  }

  /** When the server last answered a heartbeat, in milliseconds of this process' monotonic clock; 0 before the first. */
  get lastAnswerMs(): number {
    return this.#lastAnswerMs;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { redis, keys, consumer, intervalMs, missed, clock, logger, report, onSchedule, tasks } = this.#options;
    while (!signal.aborted) {
      const content = report();
      let isAnyRecallable = false;
      const askedMs = monotonicMs();
      const announcing = this.#areAnnounced(askedMs) ? null : tasks();
      const policies = announcing ? announcedPolicies(announcing) : undefined;
      try {
        const answer = await heartbeat(redis, keys, { consumer, ttlMs: intervalMs * missed, policies }, content);
        if (announcing) this.#announced = { tasks: announcing, atMs: askedMs };
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

  #areAnnounced(nowMs: number): boolean {
    if (!this.#announced || this.#announced.tasks !== this.#options.tasks()) return false;
    return nowMs - this.#announced.atMs < POLICIES_EVERY_MS;
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
