/**
 * Keeps struck executions from running here: asked for each one that is read, before anything of it is counted or claimed,
 * and again when it is claimed. A new strike also takes back what was shipped but has not started; what runs goes on.
 *
 * The list is loaded before the worker reads anything, and follows by push. Arguments are read out of the encoded bytes,
 * and only when a strike names one for that task.
 */
import type { Redis } from 'ioredis';
import { UndecodableValueError } from '../../core/errors.js';
import { Service } from '../../core/service.js';
import type { Keys } from '../../redis/keys.js';
import { StrikeFollower } from '../../redis/strike-follower.js';
import type { Logger } from '../../tasks/context.js';
import { pickArguments } from '../../wire/pick.js';
import { type Strike, Strikes, struckBy } from '../../wire/strikes.js';
import type { Delivery } from '../delivery.js';

export interface StrikeGuardOptions {
  readonly redis: Redis;
  readonly subscriber: Redis;
  readonly keys: Keys;
  readonly logger: Logger;
  /** What the dispatcher has. */
  dispatched(): Iterable<Delivery>;
  /** Takes back what is meant and has not started. */
  withdrawUnstarted(isMeant: (delivery: Delivery) => boolean): readonly Delivery[];
  /** Settles a struck execution. */
  dropStruck(delivery: Delivery, why: string): void;
}

export class StrikeGuard extends Service {
  readonly #options: StrikeGuardOptions;
  readonly #strikes: Strikes;
  /** Resolves when everything that was struck before is known, or when the service has stopped. */
  readonly loaded: Promise<void>;
  #isLoaded!: () => void;
  #isLooking = false;

  constructor(options: StrikeGuardOptions) {
    super();
    this.#options = options;
    this.#strikes = new Strikes((problem) => options.logger.warn({}, problem));
    this.loaded = new Promise((resolve) => {
      this.#isLoaded = resolve;
    });
  }

  /** How many strikes are in effect. */
  get size(): number {
    return this.#strikes.size;
  }

  /** Settles it when it is struck; answers whether it was. */
  withholds(delivery: Delivery): boolean {
    const strike = this.#strikeOf(delivery);
    if (strike) this.#options.dropStruck(delivery, struckBy(strike));
    return strike !== null;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { redis, subscriber, keys, logger } = this.#options;
    const follower = new StrikeFollower({
      strikes: this.#strikes,
      redis,
      subscriber,
      keys,
      onStruck: () => this.#look(),
      onFailure: (error) =>
        logger.warn({ error: String(error) }, 'strikes could not be loaded or followed, trying again'),
    });
    const stopped = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    void follower.open().then(this.#isLoaded);
    await stopped;
    follower.close();
  }

  /** Looks through what has not started, once for all strikes that come together. */
  #look(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    setImmediate(() => {
      this.#isLooking = false;
      const { dispatched, withdrawUnstarted, dropStruck } = this.#options;
      const struck = new Map<Delivery, string>();
      for (const delivery of dispatched()) {
        const found = this.#strikeOf(delivery);
        if (found) struck.set(delivery, struckBy(found));
      }
      if (struck.size === 0) return;
      for (const delivery of withdrawUnstarted((one) => struck.has(one))) dropStruck(delivery, struck.get(delivery)!);
    });
  }

  #strikeOf({ envelope }: Delivery): Strike | null {
    try {
      return this.#strikes.find(envelope.task, (names) => pickArguments(envelope.args, names));
    } catch (error) {
      if (error instanceof UndecodableValueError) return null; // the thread will say what is wrong with them
      throw error;
    }
  }
}
