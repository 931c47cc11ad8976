/**
 * Hears which executions were cancelled and stops them here: what runs is asked to end, what has not started is taken back.
 *
 * What was published while the link was down was not heard, so each (re)connect is followed by a look. An id without a
 * record may be met later, on the stream; it is remembered here, as in Redis, until then.
 */
import type { Redis } from 'ioredis';
import { monotonicMs } from '../../core/clock.js';
import { aborted, pause, Service } from '../../core/service.js';
import { askedToStop, cancelledIds, forgetCancelled, parseCancelMessage } from '../../redis/cancel-store.js';
import type { Token } from '../../redis/delivery-store.js';
import type { Keys } from '../../redis/keys.js';
import { CANCEL_REMEMBERED_MS } from '../../redis/schema.js';
import type { Logger } from '../../tasks/context.js';
import { type Delivery, keyOf } from '../delivery.js';

export interface CancelListenerOptions {
  readonly redis: Redis;
  readonly subscriber: Redis;
  readonly keys: Keys;
  readonly logger: Logger;
  held(): Iterable<Delivery>;
  /** Stops what is meant; answers with what had not started. */
  cancel(isMeant: (delivery: Delivery) => boolean): readonly Delivery[];
  /** Takes back what is meant and has not started. */
  withdrawUnstarted(isMeant: (delivery: Delivery) => boolean): readonly Delivery[];
  /** Settles as cancelled what had not started. */
  settle(delivery: Delivery): void;
}

/** How long what was heard is remembered, in milliseconds: ids as long as in Redis, tokens until their claim is answered. */
const ID_REMEMBERED_MS = CANCEL_REMEMBERED_MS;
const TOKEN_REMEMBERED_MS = 10 * 60 * 1_000;
const RETRY_AFTER_MS = 1_000;

export class CancelListener extends Service {
  readonly #options: CancelListenerOptions;
  /** What is not to run, with the time at which that is forgotten, the oldest first. */
  readonly #ids = new Map<string, number>();
  readonly #tokens = new Map<Token, number>();
  /** Of executions whose keys were given to others: they may go on, but not start. */
  readonly #superseded = new Map<Token, number>();
  #isStopScheduled = false;
  #onReady = () => {};
  /** Resolves when every cancel is known that came before: nothing may be started earlier. */
  readonly ready = new Promise<void>((resolve) => {
    this.#onReady = resolve;
  });

  constructor(options: CancelListenerOptions) {
    super();
    this.#options = options;
  }

  /** Whether an execution that has not started must not, as far as is known here. */
  mayNotStart(delivery: Delivery): boolean {
    return this.isCancelled(delivery) || (this.#superseded.size > 0 && this.#superseded.has(delivery.token));
  }

  /** Whether an execution was cancelled, as far as is known here. */
  isCancelled(delivery: Delivery): boolean {
    if (this.#tokens.size > 0 && this.#tokens.has(delivery.token)) return true;
    return this.#ids.size > 0 && delivery.record === null && this.#ids.has(keyOf(delivery));
  }

  /** An execution without a record has ended: if it was cancelled, that need not be remembered any more. */
  executionEnded(delivery: Delivery): void {
    if (this.#ids.size === 0 || delivery.record !== null) return;
    const id = keyOf(delivery);
    if (!this.#ids.delete(id)) return;
    const { redis, keys } = this.#options;
    forgetCancelled(redis, keys, [id]).catch(() => undefined); // forgotten by itself in a day
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { subscriber, keys, logger } = this.#options;
    const onCancel = (channel: string, what: string) => {
      if (channel === keys.cancel) this.#heard(what);
    };
    const listen = async () => {
      try {
        await subscriber.subscribe(keys.cancel);
        await this.#look();
        this.#onReady();
      } catch (error) {
        logger.warn({ error: String(error) }, 'cancels could not be looked up, trying again');
        await pause(RETRY_AFTER_MS, signal);
        if (!signal.aborted) await listen();
      }
    };
    const relisten = () => void listen();
    subscriber.on('message', onCancel).on('ready', relisten);
    relisten();
    await aborted(signal);
    subscriber.off('message', onCancel).off('ready', relisten);
  }

  /** See `CancelMessage`. Many may come at once: what is here is searched once a turn. */
  #heard(what: string): void {
    const nowMs = monotonicMs();
    const message = parseCancelMessage(what);
    if (message.kind === 'id') this.#ids.set(message.id, nowMs + ID_REMEMBERED_MS);
    else if (message.kind === 'superseded') this.#superseded.set(message.token, nowMs + TOKEN_REMEMBERED_MS);
    else this.#tokens.set(message.token, nowMs + TOKEN_REMEMBERED_MS);
    if (this.#isStopScheduled) return;
    this.#isStopScheduled = true;
    setImmediate(() => {
      this.#isStopScheduled = false;
      forgetExpired(this.#ids, nowMs);
      forgetExpired(this.#tokens, nowMs);
      forgetExpired(this.#superseded, nowMs);
      this.#stop();
    });
  }

  /** Stops what is at the dispatcher. What is still being claimed is looked up when it gets there. */
  #stop(): void {
    const { cancel, withdrawUnstarted, settle } = this.#options;
    for (const delivery of cancel((one) => this.isCancelled(one))) settle(delivery);
    if (this.#superseded.size > 0)
      for (const delivery of withdrawUnstarted((one) => this.mayNotStart(one))) settle(delivery);
  }

  async #look(): Promise<void> {
    const { redis, keys, held } = this.#options;
    const untilMs = monotonicMs() + ID_REMEMBERED_MS;
    for (const id of await cancelledIds(redis, keys)) this.#ids.set(id, untilMs);
    const running: { record: string; token: Token }[] = [];
    for (const { record, token } of held()) if (record !== null) running.push({ record, token });
    for (const token of await askedToStop(redis, keys, running)) {
      this.#tokens.set(token, monotonicMs() + TOKEN_REMEMBERED_MS);
    }
    this.#stop();
  }
}

function forgetExpired(remembered: Map<string, number>, nowMs: number): void {
  for (const [what, untilMs] of remembered) {
    if (untilMs > nowMs) return;
    remembered.delete(what);
  }
}
