/**
 * A producer's connection for commands: opened when it is first used, fails fast, and turns the failures of the server or
 * of the link into a RedisUnavailableError that names the docket.
 */
import type { Redis } from 'ioredis';
import { DocketClosedError, DocketError, RedisUnavailableError } from '../core/errors.js';
import { closeConnection, openConnection } from '../redis/connection.js';
import { type DocketSettings, describeDocket } from '../redis/docket-settings.js';

export class ProducerConnection {
  readonly #docket: DocketSettings;
  readonly #closed: AbortSignal;
  #redis: Promise<Redis> | undefined;

  /** `closed` aborts when the owner closes: every later failure is a DocketClosedError. */
  constructor(docket: DocketSettings, closed: AbortSignal) {
    this.#docket = docket;
    this.#closed = closed;
  }

  /**
   * Returns the connection, which opens with the first call. After a failure the next call tries again.
   * @param signal - gives up the first call when it aborts
   * @throws RedisUnavailableError when the server cannot be reached
   */
  open(signal?: AbortSignal): Promise<Redis> {
    this.#redis ??= this.#connect(signal).catch((error: unknown) => {
      this.#redis = undefined;
      throw error;
    });
    return this.#redis;
  }

  /**
   * Sends commands.
   * @throws the errors of `explained`
   */
  run<T>(commands: (redis: Redis) => Promise<T>): Promise<T> {
    return this.explained(this.open().then(commands));
  }

  /**
   * Waits for work on Redis, and explains its failure.
   * @throws RedisUnavailableError when the server or the link failed
   * @throws DocketClosedError when the owner was closed meanwhile
   */
  async explained<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (this.#closed.aborted) throw new DocketClosedError();
      if (error instanceof DocketError) throw error;
      const problem = `${describeDocket(this.#docket)} could not be used: ${(error as Error).message}`;
      throw new RedisUnavailableError(problem, { cause: error });
    }
  }

  /** Closes the connection if it was opened. */
  async close(): Promise<void> {
    await this.#redis?.then(closeConnection, () => undefined);
  }

  #connect(signal: AbortSignal | undefined): Promise<Redis> {
    const { url, name, durability } = this.#docket;
    const longestBlockMs = durability?.timeoutMs ?? 0;
    return openConnection(url, 'producer', { name, longestBlockMs, ...(signal && { signal }) });
  }
}
