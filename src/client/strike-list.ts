/** `StrikeList`: a list of strikes for programs that decide for themselves, on its own or following a docket. */
import type { Redis } from 'ioredis';
import { DocketClosedError, StrikesNotLoadedError } from '../core/errors.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import type { ServerConnectionOptions } from '../core/server-connection.js';
import { closeConnection, openConnection } from '../redis/connection.js';
import { ListFollower } from '../redis/list-follower.js';
import { addStrike, removeStrike, strikeSource } from '../redis/strike-store.js';
import { type AnyTask, isTask } from '../tasks/task.js';
import { type Strike, type StrikeOperand, type StrikeOperator, Strikes, strikeOf } from '../wire/strikes.js';
import { type ProducerSettings, resolveDocketOptions } from './options.js';
import { Partitions } from './partitions.js';
import { warnOfStrike } from './strike-filter.js';
import { taskNameOf } from './task-name.js';

/** Options of a `StrikeList`. */
export interface StrikeListOptions {
  /**
   * Name of the docket to follow.
   * @default the environment variable DOCKET_NAME, else 'docket', if `url` is given
   */
  name?: string;
  /**
   * URL of its Redis, see `DocketOptions.url`.
   * @default the environment variable DOCKET_URL, else 'redis://localhost:6379/0', if `name` is given
   */
  url?: string;
  /** See `DocketOptions.connection`. */
  connection?: ServerConnectionOptions;
  /**
   * Called once for each strike that met a value it cannot be compared with, which therefore is not struck.
   * @default emits a warning of the process
   */
  onWarning?: (problem: string) => void;
}

const OPTION_NAMES = optionNames<StrikeListOptions>({ name: true, url: true, connection: true, onWarning: true });

/**
 * A list of strikes that your code can query. With `name` or `url` it is the list of that docket: once `connect()` has
 * resolved it follows every change by push, and `isStricken` answers from memory. With neither it is a separate list in
 * memory, without Redis.
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
  /** The docket it follows; `null` for a separate list. */
  readonly #docket: ProducerSettings | null;
  readonly #closing = new AbortController();
  #link: Promise<Link> | undefined;
  #isLoaded: boolean;

  /** @throws InvalidOptionError naming the option that cannot be used */
  constructor(options: StrikeListOptions = {}) {
    checkOptionNames(options, OPTION_NAMES, '');
    const { name, url, connection, onWarning = warnOfStrike } = options;
    const isSeparate = name === undefined && url === undefined;
    this.#strikes = new Strikes(onWarning);
    this.#docket = isSeparate
      ? null
      : resolveDocketOptions({
          ...(name !== undefined && { name }),
          ...(url && { url }),
          ...(connection && { connection }),
        });
    this.#isLoaded = isSeparate;
  }

  /**
   * Loads the list of the docket, and follows it from then on, through all outages. Does nothing for a separate list, or
   * when the list is connected already.
   * @throws RedisUnavailableError when the server cannot be reached
   * @throws DocketClosedError after `close()`
   */
  async connect(): Promise<void> {
    this.#checkOpen();
    if (this.#docket) await this.#connect(this.#docket);
  }

  /**
   * Tells whether an execution of `task` with these arguments is struck; without a task, whether the arguments are struck in
   * any task. Never waits: during an outage it answers from the last known list.
   * @throws StrikesNotLoadedError before `connect()` has resolved
   * @throws DocketClosedError after `close()`
   */
  isStricken(args: object): boolean;
  isStricken(task: AnyTask | string, args?: object): boolean;
  isStricken(first: AnyTask | string | object, args: object = {}): boolean {
    this.#checkOpen();
    if (!this.#isLoaded) throw new StrikesNotLoadedError();
    const task = typeof first === 'string' || isTask(first) ? taskNameOf(first) : null;
    return this.#strikes.findFor(task, task === null ? (first as object) : args) !== null;
  }

  /**
   * Strikes, as `Docket.strike` does: for the whole docket when this list follows one, else in this list, at once. Once this
   * resolves, `isStricken` knows of it. Other lists receive it by push.
   * @throws InvalidOptionError when a part of the strike cannot be used
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write
   * @throws DocketClosedError after `close()`
   */
  async strike(
    task: AnyTask | string | null = null,
    parameter: string | null = null,
    operator: StrikeOperator = '==',
    value?: StrikeOperand,
  ): Promise<void> {
    this.#checkOpen();
    const strike = strikeOf(taskNameOf(task), parameter, operator, value);
    if (!this.#docket) return this.#strikes.add(strike);
    const { partitions, follower } = await this.#connect(this.#docket);
    await partitions.writeEverywhere((one) => one.run((redis, keys) => addStrike(redis, keys, strike)));
    await partitions.first.run(() => follower.lookUp()); // the push may come later than the reply
  }

  /**
   * Takes back the strike that was made with the same arguments; others stay. Once this resolves, `isStricken` knows of it.
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
    const strike = strikeOf(taskNameOf(task), parameter, operator, value);
    if (!this.#docket) {
      const wasStruck = this.#strikes.has(strike);
      this.#strikes.delete(strike);
      return wasStruck;
    }
    const { partitions, follower } = await this.#connect(this.#docket);
    const removed = await partitions.writeEverywhere((one) =>
      one.run((redis, keys) => removeStrike(redis, keys, strike)),
    );
    await partitions.first.run(() => follower.lookUp());
    return removed.includes(true);
  }

  /** Stops following the docket, and closes the connections. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort(new DocketClosedError());
    const link = await this.#link?.catch(() => undefined);
    if (link) await closeLink(link);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #connect(docket: ProducerSettings): Promise<Link> {
    this.#link ??= this.#open(docket).catch((error: unknown) => {
      this.#link = undefined; // the next call tries again
      throw error;
    });
    return this.#link;
  }

  async #open(docket: ProducerSettings): Promise<Link> {
    const { signal } = this.#closing;
    const { name, keys } = docket;
    const partitions = new Partitions({ settings: docket, closed: signal, cancel: noExecutions });
    const redis = await partitions.first.connection.open(signal);
    const subscriber = await openConnection(docket, 'subscriber', { name, signal }).catch(async (error: unknown) => {
      await partitions.close();
      throw error;
    });
    const follower = new ListFollower({ source: strikeSource(redis, keys), copy: this.#strikes, subscriber });
    const link = { partitions, subscriber, follower };
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
  readonly partitions: Partitions;
  readonly subscriber: Redis;
  readonly follower: ListFollower<Strike>;
}

async function closeLink({ follower, subscriber, partitions }: Link): Promise<void> {
  follower.close();
  await Promise.all([closeConnection(subscriber), partitions.close()]);
}

/** A list of strikes makes no handles, through which executions are cancelled. */
function noExecutions(): Promise<never> {
  return Promise.reject(new DocketClosedError());
}
