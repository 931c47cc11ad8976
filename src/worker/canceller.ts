/**
 * Hears which executions were cancelled and stops them here: what runs is asked to end, what has not started is taken back.
 *
 * What was published while the link was down was not heard, so each (re)connect is followed by a look. An id without a
 * record may be met later, on the stream; it is remembered here, as in Redis, until then.
 */
import type { Redis } from 'ioredis';
import { Service } from '../core/service.js';
import { askedToStop, cancelledIds, forgetCancelled } from '../redis/cancel-store.js';
import type { Token } from '../redis/delivery-store.js';
import type { Keys } from '../redis/keys.js';
import type { Logger } from '../tasks/context.js';
import { type Delivery, keyOf } from './delivery.js';

export interface CancellerOptions {
  readonly redis: Redis;
  readonly subscriber: Redis;
  readonly keys: Keys;
  readonly logger: Logger;
  held(): Iterable<Delivery>;
  /** Stops what is meant; answers with what had not started. */
  cancel(isMeant: (delivery: Delivery) => boolean): readonly Delivery[];
  /** Settles as cancelled what had not started. */
  settle(delivery: Delivery): void;
}

export class Canceller extends Service {
  readonly #options: CancellerOptions;
  readonly #ids = new Set<string>();

  constructor(options: CancellerOptions) {
    super();
    this.#options = options;
  }

  /** Whether an execution without a record was cancelled before it was met here. */
  isCancelled(delivery: Delivery): boolean {
    return this.#ids.size > 0 && delivery.record === null && this.#ids.has(keyOf(delivery));
  }

  /** An execution without a record that was cancelled has ended: its id need not be remembered any more. */
  honoured(delivery: Delivery): void {
    const id = keyOf(delivery);
    if (delivery.record !== null || !this.#ids.delete(id)) return;
    const { redis, keys } = this.#options;
    forgetCancelled(redis, keys, [id]).catch(() => undefined); // forgotten by itself in a day
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { subscriber, keys, logger } = this.#options;
    const onCancel = (channel: string, what: string) => {
      if (channel === keys.cancel) this.#heard(what);
    };
    const subscribe = () => {
      subscriber
        .subscribe(keys.cancel)
        .then(() => this.#look())
        .catch((error) => logger.warn({ error: String(error) }, 'cancels may not be heard until the next reconnect'));
    };
    subscriber.on('message', onCancel).on('ready', subscribe);
    subscribe();
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    subscriber.off('message', onCancel).off('ready', subscribe);
  }

  /** The token of a running execution, or `l` and an id. */
  #heard(what: string): void {
    if (what.startsWith('l')) {
      const id = what.slice(1);
      this.#ids.add(id);
      this.#stop((delivery) => delivery.record === null && keyOf(delivery) === id);
    } else {
      this.#stop((delivery) => delivery.token === what);
    }
  }

  #stop(isMeant: (delivery: Delivery) => boolean): void {
    for (const delivery of this.#options.cancel(isMeant)) this.#options.settle(delivery);
  }

  async #look(): Promise<void> {
    const { redis, keys, held } = this.#options;
    this.#ids.clear(); // of a day ago, or honoured elsewhere
    for (const id of await cancelledIds(redis, keys)) this.#ids.add(id);
    const running: { record: string; token: Token }[] = [];
    for (const { record, token } of held()) if (record !== null) running.push({ record, token });
    const asked = await askedToStop(redis, keys, running);
    this.#stop((delivery) => asked.has(delivery.token) || this.isCancelled(delivery));
  }
}
