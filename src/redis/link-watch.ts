/** Watches the link of a connection, so that a dead one is noticed and replaced. */
import type { Command, Redis } from 'ioredis';
import { isReplyError } from './reply-errors.js';

/** The commands of a connection. */
export interface Traffic {
  readonly unanswered: Set<Command>;
  /** How many were answered, or have failed. */
  answered: number;
}

export interface LinkWatchOptions {
  readonly traffic: Traffic;
  readonly patienceMs: number;
  /** Whether a PING is sent at each turn of the timer at which no command is in flight. */
  readonly alwaysAsks: boolean;
}

/**
 * Replaces a link that no longer answers. A lost route or a silent proxy sends no event, and TCP takes a quarter of an
 * hour to give up. So at each turn of the timer, every third of `patienceMs`, either a command is in flight, or one was
 * answered since the turn before, or a PING is sent. With `alwaysAsks`, answers do not replace the PING: a link without other
 * commands can be found silent after two turns. When commands or the handshake have had no answer for `patienceMs`, the link
 * is cut at the next turn, and the client reconnects. Any answer is a sign of life, also that the user may not use PING, and
 * so is any part of one: a large reply takes its time on a slow link.
 *
 * The socketTimeout of ioredis would do the same, but its timer also fires when this process itself was busy that long,
 * with the answer waiting to be read. Hence the second look after a setImmediate: by then all arrived data was read.
 */
export function watchLink(redis: Redis, { traffic, patienceMs, alwaysAsks }: LinkWatchOptions): void {
  redis.on('connect', () => {
    /** The time of the last sign of life, or of the last turn at which no answer was owed. The handshake is owed first. */
    let owedAt = performance.now();
    let wasOwed = true;
    /** The count of answers at the last turn. If a PING was sent then, its answer is counted already. */
    let answered = traffic.answered;
    const isOwed = () => traffic.unanswered.size > 0 || redis.status !== 'ready';
    const ask = async () => {
      wasOwed = true;
      owedAt = performance.now();
      answered += 1;
      await redis.ping().catch((error: unknown) => {
        if (!isReplyError(error)) throw error;
      });
      redis.emit('heard');
    };
    const { stream } = redis;
    let bytesRead = 0;
    const takeHeard = () => {
      if (stream.bytesRead === bytesRead) return false;
      bytesRead = stream.bytesRead;
      owedAt = performance.now();
      return true;
    };
    const cutIfSilent = () => {
      if (isOwed() && !takeHeard()) redis.disconnect(true);
    };
    const turn = () => {
      const isHeard = takeHeard();
      const isAnswered = traffic.answered > answered;
      answered = traffic.answered;
      const isNewlyOwed = !wasOwed;
      wasOwed = isOwed();
      if (!wasOwed) {
        if (alwaysAsks || !isAnswered) ask().catch(() => {}); // the link broke: 'close' ends this watch
      } else if (isNewlyOwed) {
        owedAt = performance.now();
      } else if (!isHeard) {
        redis.emit('silent');
        if (performance.now() - owedAt >= patienceMs) setImmediate(cutIfSilent);
      }
    };
    const timer = setInterval(turn, patienceMs / 3).unref();
    redis.once('close', () => clearInterval(timer));
  });
}
