/** Waits for the server when a worker starts before it. Later outages are not handled here. */
import type { Redis } from 'ioredis';
import { onAbort } from '../core/abort.js';
import { RedisUnavailableError } from '../core/errors.js';
import { aborted, jittered, LONGEST_TIMER_MS, pause } from '../core/service.js';
import { type DocketSettings, unusable } from '../redis/docket-settings.js';
import { refusalOf } from '../redis/reply-errors.js';
import { parseRedisUrl } from '../redis/url.js';

/** Bounds the wait for a server that is not there yet, and remembers what was wrong with it. */
export class ServerWait {
  readonly signal: AbortSignal;
  /** Remembers what is wrong with the server. */
  readonly onUnavailable: (error: Error) => void;
  readonly #ending = new AbortController();
  readonly #forget: () => void;
  readonly #timer: NodeJS.Timeout | undefined;
  /** Whether the wait has taken too long. */
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

/** How long to wait before a server that refuses commands is asked again (plus or minus a fifth). */
const ASK_AGAIN_MS = 500;

/**
 * Waits until the server takes a write on the keys of the docket. The write deletes a key that never exists. Returns on any error
 * that waiting does not cure, such as a URL that leads to a replica: the command that needs the server will report it.
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
