/**
 * The dispatcher as one partition sees it. Owns the rule that a partition acts on its own deliveries only: tokens, and ids of
 * executions without a record, are unique within a partition, so another one may have the same.
 */
import type { Token } from '../../redis/delivery-store.js';
import type { Delivery, DeliveryPipeline } from '../delivery.js';
import type { Dispatcher } from './dispatcher.js';

export class OwnDeliveries {
  readonly #dispatcher: Pick<Dispatcher, 'deliveries' | 'takeBackUnstarted' | 'cancel' | 'loseLeases'>;
  readonly #pipeline: DeliveryPipeline;

  constructor(
    dispatcher: Pick<Dispatcher, 'deliveries' | 'takeBackUnstarted' | 'cancel' | 'loseLeases'>,
    pipeline: DeliveryPipeline,
  ) {
    this.#dispatcher = dispatcher;
    this.#pipeline = pipeline;
  }

  /** The deliveries of this partition that the dispatcher has. */
  *deliveries(): Iterable<Delivery> {
    for (const delivery of this.#dispatcher.deliveries()) if (this.#isOwn(delivery)) yield delivery;
  }

  /** Takes back the matching deliveries that have not started, from the queue and the threads. Those that have go on. */
  takeBackUnstarted(matches?: (delivery: Delivery) => boolean): Delivery[] {
    return this.#dispatcher.takeBackUnstarted((delivery) => this.#isOwn(delivery) && (!matches || matches(delivery)));
  }

  /** Stops the matching executions, which were cancelled. Returns those that had not started. */
  cancel(matches: (delivery: Delivery) => boolean): Delivery[] {
    return this.#dispatcher.cancel((delivery) => this.#isOwn(delivery) && matches(delivery));
  }

  /** Handles lost leases: these executions run elsewhere now, so none may start here, and running ones must stop. */
  loseLeases(tokens: ReadonlySet<Token>): void {
    this.#dispatcher.loseLeases((delivery) => this.#isOwn(delivery) && tokens.has(delivery.token));
  }

  #isOwn(delivery: Delivery): boolean {
    return delivery.pipeline === this.#pipeline;
  }
}
