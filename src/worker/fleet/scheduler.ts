/**
 * Moves executions from the schedule to the stream when they are due. Sleeps until the next one is due. Scheduling
 * an earlier one publishes its time, which wakes every scheduler; the resolution is a safety net for a lost wake-up.
 */
import { pause, Service } from '../../core/service.js';
import { moveDue } from '../../redis/schedule-store.js';
import type { WorkerContext } from '../context.js';
import { logRetry } from '../log-retry.js';

export interface SchedulerOptions extends Pick<WorkerContext, 'redis' | 'subscriber' | 'keys' | 'logger'> {
  /** Longest sleep. */
  readonly resolutionMs: number;
}

export class Scheduler extends Service {
  readonly #options: SchedulerOptions;
  #sleeping = new AbortController();

  constructor(options: SchedulerOptions) {
    super();
    this.#options = options;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { subscriber, keys, logger } = this.#options;
    const wake = () => this.#sleeping.abort();
    signal.addEventListener('abort', wake, { once: true });
    const onWake = (channel: string) => {
      if (channel === keys.wake) wake();
    };
    // A head that was announced before the subscription was confirmed, at the start or after a lost link, was not heard.
    // So each subscription wakes the scheduler.
    const subscribe = () => {
      subscriber.subscribe(keys.wake).then(wake, (error) => {
        if (!signal.aborted) logger.warn({ error: String(error) }, 'no wake-ups: polling');
      });
    };
    subscriber.on('message', onWake).on('ready', subscribe);
    subscribe();
    try {
      while (!signal.aborted) {
        this.#sleeping = new AbortController();
        const sleepMs = await this.#turn(signal);
        if (sleepMs > 0) await pause(sleepMs, this.#sleeping.signal);
      }
    } finally {
      subscriber.off('message', onWake).off('ready', subscribe);
    }
  }

  /** Moves due executions; returns how long to sleep. A new head that is announced meanwhile cuts the sleep short. */
  async #turn(signal: AbortSignal): Promise<number> {
    const { redis, keys, resolutionMs, logger } = this.#options;
    try {
      const { nextInMs, errors } = await moveDue(redis, keys);
      if (errors.length > 0) logger.error({ errors }, 'executions whose records cannot be used are in quarantine');
      return nextInMs === null ? resolutionMs : Math.min(nextInMs, resolutionMs);
    } catch (error) {
      if (!signal.aborted) logRetry(logger, error, 'moving due executions failed');
      return resolutionMs;
    }
  }
}
