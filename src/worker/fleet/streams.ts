/**
 * The streams of one partition, for the parts that find them gone: FLUSHALL, a restart without persistence, or a DEL by hand.
 *
 * Owns the rule that whoever makes a stream again says what that means: one worker of the fleet for each stream.
 */
import type { Redis } from 'ioredis';
import { ensureGroups } from '../../redis/delivery-store.js';
import type { Keys } from '../../redis/keys.js';
import type { WorkerLogger } from '../options.js';

interface StreamsOptions {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly logger: WorkerLogger;
}

export class Streams {
  readonly #options: StreamsOptions;
  readonly #onLost: (() => void)[] = [];

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  /** Calls `listener` whenever this worker has made a stream again. */
  onLost(listener: () => void): void {
    this.#onLost.push(listener);
  }

  /** Makes the streams, and the consumer group on them, where they are missing. Rejects when the server refuses. */
  async restore(): Promise<void> {
    const { redis, keys, logger } = this.#options;
    const streams = await ensureGroups(redis, keys);
    if (streams.length === 0) return;
    logger.error(
      { streams },
      'Redis has lost streams of this docket, and what was on them: they are made again, empty',
    );
    for (const listener of this.#onLost) listener();
  }
}
