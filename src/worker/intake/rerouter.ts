/**
 * Reroutes deliveries that this worker cannot run: it lacks the task, or the message is of a newer version. During
 * a rolling deploy, another worker soon can. The delay is a second if a live worker announces the task, else it grows.
 *
 * Owns these deliveries while it asks Redis who announces their tasks.
 */
import { isAnnounced } from '../../redis/fleet-store.js';
import type { WorkerContext } from '../context.js';
import { type Delivery, keyOf } from '../delivery.js';

const ANNOUNCED_MS = 1_000;
const FIRST_MS = 10_000;
const LONGEST_MS = 300_000;

export interface RerouterOptions extends Pick<WorkerContext, 'redis' | 'keys' | 'consumer' | 'logger'> {
  /** Reroutes a delivery, which waits for `delayMs`; `isAdmitted` when it has passed its limits. */
  reroute(delivery: Delivery, delayMs: number, isAdmitted: boolean): void;
}

export class Rerouter {
  readonly #options: RerouterOptions;
  readonly #asking = new Set<Delivery>();
  /** Questions by task: one serves all deliveries that wait for its answer. */
  readonly #questions = new Map<string, Promise<boolean>>();

  constructor(options: RerouterOptions) {
    this.#options = options;
  }

  /** Deliveries that wait for an answer. Their leases must be kept. */
  get deliveries(): ReadonlySet<Delivery> {
    return this.#asking;
  }

  /** Resolves when nothing waits for an answer. */
  async idle(): Promise<void> {
    while (this.#asking.size > 0) await Promise.allSettled(this.#questions.values());
  }

  /**
   * Never rejects: when the question fails, the delivery waits as if nobody announced its task.
   * @param isAdmitted - whether it was claimed, and a thread refused it
   */
  async add(delivery: Delivery, isAdmitted = false): Promise<void> {
    const { task, version, isReadable } = delivery.envelope;
    const { reroutes } = delivery;
    this.#asking.add(delivery);
    // Other workers may announce the task and still not read a newer message.
    const isKnownElsewhere = isReadable && (await this.#isAnnouncedElsewhere(task));
    this.#asking.delete(delivery);
    const delayMs = isKnownElsewhere ? ANNOUNCED_MS : Math.min(FIRST_MS * 2 ** reroutes, LONGEST_MS);
    const why = isReadable ? 'no such task is loaded here' : `its message is of a newer version (${version})`;
    this.#options.logger.warn(
      { task, key: keyOf(delivery), reroutes },
      `${task} is rerouted for ${delayMs / 1_000} s: ${why}`,
    );
    this.#options.reroute(delivery, delayMs, isAdmitted);
  }

  #isAnnouncedElsewhere(task: string): Promise<boolean> {
    const { redis, keys, consumer } = this.#options;
    const asked = this.#questions.get(task);
    if (asked) return asked;
    const question = isAnnounced(redis, keys, task, consumer)
      .catch(() => false)
      .finally(() => this.#questions.delete(task));
    this.#questions.set(task, question);
    return question;
  }
}
