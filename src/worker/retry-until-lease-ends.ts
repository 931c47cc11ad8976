/**
 * Repeats a write about deliveries until it succeeds or their lease would be over. From then on the executions may belong
 * to another worker, which runs them again, and late writes from here are fenced off. Only writes that may be repeated
 * belong here: an answer can be lost after the write was done.
 *
 * While the server refuses all writes, no lease ends: redelivery is a write, too. So the time counts from the last refusal.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../core/clock.js';
import { jittered } from '../core/service.js';
import { isRefusal } from '../redis/reply-errors.js';
import type { CommandLink } from './command-link.js';

export interface RetryOptions {
  /** Watches the tries, because a worker whose writes fail must read nothing. */
  readonly link: Pick<CommandLink, 'track'>;
  /** Milliseconds after which a failure is final, counted from the first attempt or from the last refusal of all writes. */
  readonly leaseMs: number;
  /** Milliseconds between a failure and the next attempt, spread by a fifth either way. */
  readonly pauseMs: number;
  /** Whether another attempt makes sense. It is called after each failure, and again after the pause. */
  canRetry(): boolean;
  /** Called before each further attempt, with the error of the last one. */
  onRetry(error: unknown): void;
}

/** @throws the error of the last attempt */
export async function retryUntilLeaseEnds<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  let giveUpMs = monotonicMs() + options.leaseMs;
  const write = options.link.track();
  try {
    for (;;) {
      try {
        return await write.attempt(attempt);
      } catch (error) {
        if (isRefusal(error)) giveUpMs = monotonicMs() + options.leaseMs;
        if (monotonicMs() > giveUpMs || !options.canRetry()) throw error;
        options.onRetry(error);
        await delay(jittered(options.pauseMs));
        if (!options.canRetry()) throw error;
      }
    }
  } finally {
    write.end();
  }
}
