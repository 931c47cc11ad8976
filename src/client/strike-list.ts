/** A list of strikes to ask, by itself or following a docket: a switch for features, and for whoever decides on their own. */
import type { Redis } from 'ioredis';
import { DocketClosedError, StrikesNotLoadedError } from '../core/errors.js';
import { closeConnection, openConnection } from '../redis/connection.js';
import { StrikeFollower } from '../redis/strike-follower.js';
import { addStrike, removeStrike } from '../redis/strike-store.js';
import { type AnyTask, isTask } from '../tasks/task.js';
import { type StrikeOperand, type StrikeOperator, Strikes, strikeOf } from '../wire/strikes.js';
import { type DocketSettings, resolveDocketOptions } from './options.js';
import { warnOfStrike } from './strikes.js';

export interface StrikeListOptions {
  /**
   * Name of the docket to follow.
   * @default 'docket', if `url` is given
   */
  name?: string;
  /**
   * Where its Redis is, see `DocketOptions.url`.
   * @default the environment variable DOCKET_URL, else 'redis://localhost:6379/0', if `name` is given
   */
  url?: string;
  /**
   * Hears once of each strike that met a value it cannot be compared with, which is not struck.
   * @default a warning of the process
   */
  onWarning?: (problem: string) => void;
}

/**
 * What is struck, to be asked directly. With `name` or `url` it is the list of that docket: once `connect()` has resolved it
 * follows every change by push, and `isStricken` answers from memory. With neither it is a list of its own, without Redis.
 *
 * @example
 * ```ts
 * await using flags = new StrikeList({ url: 'redis://localhost:6379' });
 * await flags.connect();
 * if (!flags.isStricken({ customerId: 'c-1' })) serve();
 *
 * const alone = new StrikeList();
 * await alone.strike(null, 'rows', '>', 1_000);
 * alone.isStricken({ rows: 2_000 }); // true
 * ```
 */
export class StrikeList {
  readonly #strikes: Strikes;
  /** `null` for a list of its own. */
  readonly #docket: DocketSettings | null;
  readonly #closing = new AbortController();
  #link: Promise<Link> | undefined;
  #isLoaded: boolean;

  /** @throws InvalidOptionError naming the option that cannot be used */
  constructor({ name, url, onWarning = warnOfStrike }: StrikeListOptions = {}) {
    const isAlone = name === undefined && url === undefined;
    this.#strikes = new Strikes(onWarning);
    this.#docket = isAlone ? null : resolveDocketOptions({ ...(name !== undefined && { name }), ...(url && { url }) });
    this.#isLoaded = isAlone;
  }

  /**
   * Loads the docket's list, and follows it from then on, through all outages. Does nothing for a list of its own, or when
   * it was connected before.
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async connect(): Promise<void> {
    this.#checkOpen();
    if (this.#docket) await this.#connect(this.#docket);
  }

  /**
   * Tells whether an execution of `task` with these arguments is struck; without a task, whether the arguments are, in any
   * task. Never waits: during an outage it answers by what was known last.
   * @throws StrikesNotLoadedError before `connect()` has resolved
   * @throws DocketClosedError after `close()`
   */
  isStricken(args: object): boolean;
  isStricken(task: AnyTask | string, args?: object): boolean;
  isStricken(first: AnyTask | string | object, args: object = {}): boolean {
    this.#checkOpen();
    if (!this.#isLoaded) throw new StrikesNotLoadedError();
    const task = typeof first === 'string' || isTask(first) ? nameOf(first) : null;
    return this.#strikes.findFor(task, task === null ? (first as object) : args) !== null;
  }

  /**
   * Strikes, as `Docket.strike` does: for the whole docket when this list follows one, else for this list, at once.
   * @throws InvalidOptionError when a part of it cannot be used
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async strike(
    task: AnyTask | string | null = null,
    parameter: string | null = null,
    operator: StrikeOperator = '==',
    value?: StrikeOperand,
  ): Promise<void> {
    this.#checkOpen();
    const strike = strikeOf(nameOf(task), parameter, operator, value);
    if (!this.#docket) return this.#strikes.add(strike);
    const { redis } = await this.#connect(this.#docket);
    await addStrike(redis, this.#docket.keys, strike);
  }

  /**
   * Takes back the strike that was made with the same arguments; others stay.
   * @returns whether there was such a strike
   * @throws what `strike` throws
   */
  async restore(
    task: AnyTask | string | null = null,
    parameter: string | null = null,
    operator: StrikeOperator = '==',
    value?: StrikeOperand,
  ): Promise<boolean> {
    this.#checkOpen();
    const strike = strikeOf(nameOf(task), parameter, operator, value);
    if (!this.#docket) {
      const wasStruck = this.#strikes.has(strike);
      this.#strikes.delete(strike);
      return wasStruck;
    }
    const { redis } = await this.#connect(this.#docket);
    return await removeStrike(redis, this.#docket.keys, strike);
  }

  /** Follows no more, and closes its connections. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort(new DocketClosedError());
    const link = await this.#link?.catch(() => undefined);
    if (link) await closeLink(link);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #connect(docket: DocketSettings): Promise<Link> {
    this.#link ??= this.#open(docket).catch((error: unknown) => {
      this.#link = undefined; // the next call tries again
      throw error;
    });
    return this.#link;
  }

  async #open({ url, name, keys }: DocketSettings): Promise<Link> {
    const { signal } = this.#closing;
    const redis = await openConnection(url, 'producer', { name, signal });
    const subscriber = await openConnection(url, 'subscriber', { name, signal }).catch(async (error: unknown) => {
      await closeConnection(redis);
      throw error;
    });
    const follower = new StrikeFollower({ strikes: this.#strikes, redis, subscriber, keys });
    const link = { redis, subscriber, follower };
    const closed = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    if (signal.aborted) {
      await closeLink(link);
      throw signal.reason;
    }
    await Promise.race([follower.open(), closed]);
    this.#isLoaded = !signal.aborted;
    return link;
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new DocketClosedError();
  }
}

interface Link {
  readonly redis: Redis;
  readonly subscriber: Redis;
  readonly follower: StrikeFollower;
}

async function closeLink({ follower, subscriber, redis }: Link): Promise<void> {
  follower.close();
  await Promise.all([closeConnection(subscriber), closeConnection(redis)]);
}

function nameOf(task: AnyTask | string | null): string | null {
  return isTask(task) ? task.name : task;
}
