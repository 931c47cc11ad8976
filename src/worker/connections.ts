/** Opens and closes the three connections of a worker. */
import type { Redis } from 'ioredis';
import { RedisUnavailableError } from '../core/errors.js';
import { aborted, jittered, pause } from '../core/service.js';
import { closeConnection, openConnection } from '../redis/connection.js';
import { type DocketSettings, unusable } from '../redis/docket-settings.js';
import { refusalOf } from '../redis/reply-errors.js';
import type { WorkerSettings } from './options.js';

export interface Connections {
  /** For every command that does not block. */
  readonly commands: Redis;
  /** For blocking reads. */
  readonly blocking: Redis;
  /** For subscriptions. */
  readonly subscriber: Redis;
}

/**
 * Opens all three, or none. Once open, they survive any outage.
 *
 * Waits for a server that is not there yet, or that does not take commands yet.
 *
 * @param onUnavailable - called with each failed attempt to connect, and each broken link
 * @throws RedisUnavailableError when waiting cannot help, or has taken longer than `connectTimeoutMs`
 */
export async function openConnections(
  docket: DocketSettings,
  { name, longestReadMs, longestPauseMs, connectTimeoutMs }: WorkerSettings,
  signal: AbortSignal,
  onUnavailable: (error: Error) => void,
): Promise<Connections> {
  const patience = new Patience(signal, connectTimeoutMs, onUnavailable);
  const options = { name, signal: patience.signal, longestPauseMs, onUnavailable: patience.onUnavailable };
  const opened: Redis[] = [];
  const open = async (role: 'commands' | 'blocking' | 'subscriber', longestBlockMs = 0) => {
    const redis = await openConnection(docket, role, { ...options, longestBlockMs });
    opened.push(redis);
    return redis;
  };
  try {
    const commands = await open('commands'); // alone, so that nothing is logged three times
    await untilServed(commands, docket, options);
    const [blocking, subscriber] = await settledAll([open('blocking', longestReadMs), open('subscriber')]);
    return { commands, blocking, subscriber };
  } catch (error) {
    await Promise.all(opened.map(closeConnection));
    throw patience.isOver ? patience.reason : error;
  } finally {
    patience.end();
  }
}

/** Waits for both, whatever becomes of the other. */
async function settledAll<A, B>([a, b]: readonly [Promise<A>, Promise<B>]): Promise<readonly [A, B]> {
  await Promise.allSettled([a, b]);
  return [await a, await b];
}

/** How long to wait for a server that is not there yet. */
class Patience {
  readonly signal: AbortSignal;
  /** Remembers what is wrong with the server. */
  readonly onUnavailable: (error: Error) => void;
  readonly #over = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  #problem: Error | null = null;

  constructor(signal: AbortSignal, limitMs: number | null, onUnavailable: (error: Error) => void) {
    this.signal = AbortSignal.any([signal, this.#over.signal]);
    this.onUnavailable = (error) => {
      this.#problem = error;
      onUnavailable(error);
    };
    if (limitMs !== null) this.#timer = setTimeout(() => this.#over.abort(), limitMs);
  }

  get isOver(): boolean {
    return this.#over.signal.aborted;
  }

  /** Why the server could not be used in time. */
  get reason(): Error {
    return this.#problem ?? new RedisUnavailableError('Redis did not answer in time: see connectTimeout');
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/** How long to wait until a server that refuses commands is asked again, spread by a fifth either way. */
const ASK_AGAIN_MS = 500;

/** Waits until the server takes a write on the keys of the docket. This one has nothing to do. */
async function untilServed(
  redis: Redis,
  docket: DocketSettings,
  { signal, onUnavailable }: { readonly signal: AbortSignal; readonly onUnavailable: (error: Error) => void },
): Promise<void> {
  for (;;) {
    const asked = redis.del(docket.keys.prefix).then(
      () => null,
      (error: Error) => error,
    );
    const error = await Promise.race([asked, aborted(signal)]);
    signal.throwIfAborted();
    if (!error || refusalOf(error) === null) return; // any other error is met, and explained, where it matters
    onUnavailable(unusable(docket, error));
    await pause(jittered(ASK_AGAIN_MS), signal);
  }
}

export async function closeConnections(connections: Connections): Promise<void> {
  await Promise.all(Object.values(connections).map(closeConnection));
}
