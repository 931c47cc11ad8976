/**
 * Moves executions from the schedule to the streams when they are due. Sleeps until the next one is due. Scheduling an
 * earlier one publishes its time, which wakes every scheduler. The safety net for a lost wake-up is the heartbeat, which
 * looks at the schedule, too. The scheduler looks by itself only if no heartbeat has done so within the resolution.
 */
import { LONGEST_TIMER_MS, Service } from '../../core/service.js';
import { moveDue } from '../../redis/schedule-store.js';
import type { WorkerContext } from '../context.js';
import { logRetry } from '../log-retry.js';

export interface SchedulerOptions extends Pick<WorkerContext, 'redis' | 'subscriber' | 'keys' | 'logger'> {
  /** The longest time for which nothing looks at the schedule, neither the scheduler nor a heartbeat. */
  readonly resolutionMs: number;
}

export class Scheduler extends Service {
  readonly #options: SchedulerOptions;
  #isWoken = false;
  /** Ends the present sleep; `null` while there is none. */
  #endSleep: (() => void) | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SchedulerOptions) {
    super();
    this.#options = options;
  }

  /** Learns from a heartbeat when the head of the schedule is due. The present sleep, if there is one, now ends then. */
  learn(nextInMs: number | null): void {
    if (this.#endSleep) this.#sleepFor(this.#boundedMs(nextInMs));
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { subscriber, keys, logger } = this.#options;
    const wake = () => this.#wake();
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
        this.#isWoken = false;
        const sleepMs = await this.#turn(signal);
        if (sleepMs > 0 && !this.#isWoken) await this.#sleep(sleepMs);
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
      if (errors.length > 0) logger.error({ errors }, 'executions whose records cannot be used are kept as failures');
      return this.#boundedMs(nextInMs);
    } catch (error) {
      if (!signal.aborted) logRetry(logger, error, 'moving due executions failed');
      return resolutionMs;
    }
  }

  #boundedMs(nextInMs: number | null): number {
    return Math.min(nextInMs ?? Number.POSITIVE_INFINITY, this.#options.resolutionMs, LONGEST_TIMER_MS);
  }

  /** Resolves after `ms`, unless it is woken before or a heartbeat sees that another time is better. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#endSleep = resolve;
      this.#sleepFor(ms);
    });
  }

  #sleepFor(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#wake(), ms);
  }

  #wake(): void {
    this.#isWoken = true;
    clearTimeout(this.#timer);
    this.#endSleep?.();
    this.#endSleep = null;
  }
}
