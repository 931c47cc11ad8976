/** Waits for the server of a worker that starts before it. Once a worker was connected, it waits out any outage by itself. */
import type { Redis } from 'ioredis';
import { onAbort } from '../core/abort.js';
import { RedisUnavailableError } from '../core/errors.js';
import { aborted, jittered, LONGEST_TIMER_MS, pause } from '../core/service.js';
import { type DocketSettings, unusable } from '../redis/docket-settings.js';
import { refusalOf } from '../redis/reply-errors.js';
import { parseRedisUrl } from '../redis/url.js';

/** How long to wait for a server that is not there yet. */
export class Patience {
  readonly signal: AbortSignal;
  /** Remembers what is wrong with the server. */
  readonly onUnavailable: (error: Error) => void;
  readonly #ending = new AbortController();
  readonly #forget: () => void;
  readonly #timer: NodeJS.Timeout | undefined;
  /** Whether the time is over. */
  isOver = false;
  #problem: Error | null = null;

  constructor(signal: AbortSignal, limitMs: number | null, onUnavailable: (error: Error) => void) {
    this.signal = this.#ending.signal;
    if (signal.aborted) this.#ending.abort(signal.reason);
    this.#forget = onAbort(signal, () => this.#ending.abort(signal.reason));
    this.onUnavailable = (error) => {
      this.#problem = error;
      onUnavailable(error);
    };
    if (limitMs === null) return;
    const giveUp = () => {
      this.isOver = true;
      this.#ending.abort();
    };
    this.#timer = setTimeout(giveUp, Math.min(limitMs, LONGEST_TIMER_MS));
  }

  /** Why the server could not be used in time. */
  get reason(): Error {
    return this.#problem ?? new RedisUnavailableError('Redis did not answer in time: see connectTimeout');
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#forget();
  }
}

/** How long to wait until a server that refuses commands is asked again, spread by a fifth either way. */
const ASK_AGAIN_MS = 500;

/**
 * Waits until the server takes a write on the keys of the docket. This one has nothing to do. Any error that waiting does not
 * mend is met, and explained, where it matters: also that the URL of one server leads to a replica.
 */
export async function untilServed(
  redis: Redis,
  docket: DocketSettings,
  { signal, onUnavailable }: { readonly signal: AbortSignal; readonly onUnavailable: (error: Error) => void },
): Promise<void> {
  const { kind } = parseRedisUrl(docket.url);
  const isSearched = kind === 'sentinel' || kind === 'cluster';
  for (;;) {
    const asked = redis.del(docket.keys.prefix).then(
      () => null,
      (error: Error) => error,
    );
    const error = await Promise.race([asked, aborted(signal)]);
    signal.throwIfAborted();
    const refusal = error ? refusalOf(error) : null;
    if (refusal === null || (refusal === 'elsewhere' && !isSearched)) return;
    onUnavailable(unusable(docket, error));
    await pause(jittered(ASK_AGAIN_MS), signal);
  }
}
