/**
 * Knows which executions are struck. It is asked about each one that is read, before anything of it is counted or claimed,
 * and again before it starts. A new strike also takes back unstarted shipments. Running attempts go on.
 *
 * Owns this worker's copy of the list of strikes: loaded before the worker reads anything, and kept up to date by push. While there
 * are any, it also looks them up every 5 s: if somebody deleted them, or Redis lost them, no change would say so.
 * Arguments are read out of the encoded bytes, and only when a strike names one for that task.
 */
import { deferred } from '../../core/deferred.js';
import { UndecodableValueError } from '../../core/errors.js';
import { jittered, pause, Service } from '../../core/service.js';
import { ListFollower } from '../../redis/list-follower.js';
import { strikeSource } from '../../redis/strike-store.js';
import { pickArguments } from '../../wire/pick.js';
import { type Strike, Strikes, struckBy } from '../../wire/strikes.js';
import type { WorkerContext } from '../context.js';
import type { Delivery } from '../delivery.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import { logRetry } from '../log-retry.js';

/** How often strikes are looked up while there are any: a change may have been missed, or they may have been deleted. */
const LOOK_UP_MS = 5_000;

export interface StrikeGuardOptions extends Pick<WorkerContext, 'redis' | 'subscriber' | 'keys' | 'logger'> {
  readonly dispatcher: Pick<Dispatcher, 'deliveries' | 'takeBackUnstarted'>;
  /** Settles a delivery that was taken back; `reason` names the strike. */
  onTakenBack(delivery: Delivery, reason: string): void;
}

export class StrikeGuard extends Service {
  readonly #options: StrikeGuardOptions;
  readonly #strikes: Strikes;
  #follower: ListFollower<Strike> | null = null;
  readonly #ready = deferred();
  /** Resolves when all earlier strikes are known, or when the service has stopped. */
  readonly ready = this.#ready.promise;
  #isTakingBackScheduled = false;

  constructor(options: StrikeGuardOptions) {
    super();
    this.#options = options;
    this.#strikes = new Strikes((problem) => options.logger.warn({}, problem));
  }

  /** The number of strikes in effect. */
  get size(): number {
    return this.#strikes.size;
  }

  /** Whether it receives every strike, as long as the link is not silent. */
  get isFollowing(): boolean {
    return this.#follower?.isFollowing ?? false;
  }

  /** Asks Redis for strikes that it may have missed. Rejects when the command fails. */
  async lookUp(): Promise<void> {
    await this.#follower?.lookUp();
  }

  /** Returns why an execution must not run, in words that name its strike; `null` when it is not struck. */
  reasonStruck({ envelope }: Delivery): string | null {
    if (this.#strikes.size === 0) return null;
    try {
      const strike = this.#strikes.find(envelope.task, (names) => pickArguments(envelope.args, names));
      return strike && struckBy(strike);
    } catch (error) {
      if (error instanceof UndecodableValueError) return null; // the thread will report the problem
      throw error;
    }
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { redis, subscriber, keys, logger } = this.#options;
    const follower = new ListFollower({
      source: strikeSource(redis, keys),
      copy: this.#strikes,
      subscriber,
      onAdded: () => this.#scheduleTakingBack(),
      onFailure: (error) => logRetry(logger, error, 'strikes could not be loaded or followed'),
    });
    this.#follower = follower;
    void follower.open().then(this.#ready.resolve);
    while (!signal.aborted) {
      await pause(jittered(LOOK_UP_MS), signal);
      if (signal.aborted || this.size === 0) continue;
      await follower.lookUp().catch((error) => logRetry(logger, error, 'strikes could not be looked up'));
    }
    follower.close();
  }

  /** Takes back once for all strikes that come in one turn. */
  #scheduleTakingBack(): void {
    if (this.#isTakingBackScheduled) return;
    this.#isTakingBackScheduled = true;
    setImmediate(() => {
      this.#isTakingBackScheduled = false;
      this.takeBack();
    });
  }

  /** Takes unstarted deliveries that are struck back from the dispatcher. */
  takeBack(): void {
    const { dispatcher, onTakenBack } = this.#options;
    const struck = new Map<Delivery, string>();
    for (const delivery of dispatcher.deliveries()) {
      const reason = this.reasonStruck(delivery);
      if (reason !== null) struck.set(delivery, reason);
    }
    if (struck.size === 0) return;
    for (const delivery of dispatcher.takeBackUnstarted((one) => struck.has(one))) {
      onTakenBack(delivery, struck.get(delivery)!);
    }
  }
}
