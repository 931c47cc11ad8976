/**
 * A producer's connection for commands: opened when it is first used, fails fast, and turns the failures of the server or
 * of the link into a RedisUnavailableError that names the docket.
 */
import type { Redis } from 'ioredis';
import { DocketClosedError, DocketError, RedisUnavailableError } from '../core/errors.js';
import { closeConnection, openConnection } from '../redis/connection.js';
import { type DocketSettings, describeDocket, describePart, unusable } from '../redis/docket-settings.js';

export class ProducerConnection {
  readonly #docket: DocketSettings;
  readonly #closed: AbortSignal;
  #redis: Promise<Redis> | undefined;
  #opened: Redis | undefined;
  /** How often the link was closed since it worked: once when it broke, then for each attempt to connect that failed. */
  #closes = 0;
  #isClosed = false;
  /** The outcome of the attempt to connect that callers wait for. */
  #reconnecting: Promise<boolean> | undefined;

  /** `closed` aborts when the owner closes: every later failure is a DocketClosedError. */
  constructor(docket: DocketSettings, closed: AbortSignal) {
    this.#docket = docket;
    this.#closed = closed;
  }

  /**
   * Returns the connection, which opens with the first call. After a failure the next call tries again.
   * @param signal - gives up the first call when it aborts
   * @throws RedisUnavailableError when the server cannot be reached
   * @throws DocketClosedError after `close`
   */
  open(signal?: AbortSignal): Promise<Redis> {
    if (this.#isClosed) return Promise.reject(new DocketClosedError());
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
    return this.explained(this.ready().then(commands));
  }

  /** The connection, while it can send; otherwise `ready` tells when it can, or why not. */
  get usable(): Redis | undefined {
    return this.#opened?.status === 'ready' ? this.#opened : undefined;
  }

  /**
   * Returns the connection when it can send: what is given to it then goes out at once. While the link is down it waits
   * for the next attempt to connect, and once an attempt has failed it does not wait at all.
   * @throws RedisUnavailableError when the link is down, so that nothing was sent
   * @throws DocketClosedError after `close`
   */
  async ready(): Promise<Redis> {
    const redis = await this.open();
    if (redis.status !== 'ready') await this.#reconnected(redis);
    return redis;
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
      throw unusable(this.#docket, error);
    }
  }

  /** Closes the connection if it was opened; nothing opens it again, and nothing waits for it any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#redis?.then(closeConnection, () => undefined);
  }

  async #connect(signal: AbortSignal | undefined): Promise<Redis> {
    const { name, durability } = this.#docket;
    const longestBlockMs = durability?.timeoutMs ?? 0;
    const opening = openConnection(this.#docket, 'producer', { name, longestBlockMs, ...(signal && { signal }) });
    const redis = await opening.catch((error: unknown) => {
      throw this.#withPartition(error);
    });
    this.#opened = redis;
    this.#closes = 0;
    redis.on('close', () => {
      this.#closes += 1;
    });
    redis.on('ready', () => {
      this.#closes = 0;
    });
    return redis;
  }

  /** Says of which partition the server could not be reached, if there are several. */
  #withPartition(error: unknown): unknown {
    const { partition } = this.#docket;
    if (partition === undefined || !(error instanceof RedisUnavailableError)) return error;
    return new RedisUnavailableError(`${describePart(this.#docket)}: ${error.message}`, { cause: error.cause });
  }

  async #reconnected(redis: Redis): Promise<void> {
    const mayWait = redis.status !== 'end' && this.#closes <= 1; // a client that has ended would never tell
    if (mayWait) {
      this.#reconnecting ??= nextAttempt(redis).finally(() => {
        this.#reconnecting = undefined;
      });
    }
    const isReady = mayWait && (await this.#reconnecting);
    if (isReady) return;
    if (this.#closed.aborted) throw new DocketClosedError();
    const where = describeDocket(this.#docket);
    throw new RedisUnavailableError(`${where} cannot be reached: the link is down, and nothing was written`);
  }
}

/** Tells whether the client could connect. */
async function nextAttempt(redis: Redis): Promise<boolean> {
  return await new Promise((resolve) => {
    const end = (ready: boolean) => {
      redis.off('ready', onReady).off('close', onClose).off('end', onClose);
      resolve(ready);
    };
    const onReady = () => end(true);
    const onClose = () => end(false);
    redis.on('ready', onReady).on('close', onClose).on('end', onClose);
  });
}
