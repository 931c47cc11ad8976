/** Watches the link of a connection, so that a dead one is noticed and replaced. */
import type { Command, Redis } from 'ioredis';
import { isReplyError } from './reply-errors.js';

/** The number of turns of the timer in `patienceMs`. */
const TURNS = 3;

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
 * Replaces a link that no longer answers. A lost route or a silent proxy sends no event, and TCP takes a quarter of an hour to
 * give up. So at each turn of the timer, every third of `patienceMs`, either a command is in flight, or one was answered since the
 * turn before, or a PING is sent. With `alwaysAsks`, answers do not replace the PING: a link without other commands can be found
 * silent after two turns. When commands or the handshake have had no answer for three turns in a row, the link is cut, and the
 * client reconnects. Turns are counted, not time: while this process stood still, the server on the same machine may have stood
 * still as well, and must get its usual time. Any answer is a sign of life, even one that refuses PING, and so is any part of an
 * answer: a large reply takes its time on a slow link. A large command takes its time, too, so it is also a sign of life that
 * more of one has left this process.
 *
 * The socketTimeout of ioredis would do the same, but its timer also fires when this process itself was busy that long,
 * with the answer waiting to be read. Hence the second look after a setImmediate: by then all arrived data was read.
 */
export function watchLink(redis: Redis, { traffic, patienceMs, alwaysAsks }: LinkWatchOptions): void {
  redis.on('connect', () => {
    /** The number of turns at which an answer was owed, since the last sign of life. The handshake is owed first. */
    let silentTurns = 0;
    let wasOwed = true;
    /** The count of answers at the last turn. If a PING was sent then, its answer is counted already. */
    let answered = traffic.answered;
    const isOwed = () => traffic.unanswered.size > 0 || redis.status !== 'ready';
    const ask = async () => {
      wasOwed = true;
      silentTurns = 0;
      answered += 1;
      await redis.ping().catch((error: unknown) => {
        if (!isReplyError(error)) throw error;
      });
      redis.emit('heard');
    };
    const { stream } = redis;
    let [bytesRead, unsent] = [0, 0];
    const takeHeard = () => {
      const nowUnsent = unsentOf(stream);
      if (stream.bytesRead === bytesRead && nowUnsent === unsent) return false;
      [bytesRead, unsent] = [stream.bytesRead, nowUnsent];
      silentTurns = 0;
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
        silentTurns = 0;
      } else if (!isHeard) {
        silentTurns += 1;
        redis.emit('silent');
        if (silentTurns >= TURNS) setImmediate(cutIfSilent);
      }
    };
    const timer = setInterval(turn, patienceMs / TURNS).unref();
    redis.once('close', () => clearInterval(timer));
  });
}

/**
 * Returns how many bytes of the present write the system has yet to take. They only change while the link takes some. Node has no
 * public name for this: `writableLength` stays as it is until the whole write is done. Its own timeouts of sockets ask the same.
 */
function unsentOf(stream: object): number {
  return (stream as { readonly _handle?: { readonly writeQueueSize?: number } | null })._handle?.writeQueueSize ?? 0;
}
