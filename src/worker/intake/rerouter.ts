/**
 * Puts back what nobody here can run, a task of this name or a message of a newer version, for a worker that can: in a
 * rolling deploy there soon is one. Shortly when a live worker says that it knows the task, else for longer each time.
 */
import type { Redis } from 'ioredis';
import { isAnnounced } from '../../redis/fleet-store.js';
import type { Keys } from '../../redis/keys.js';
import type { Logger } from '../../tasks/context.js';
import { type Delivery, keyOf } from '../delivery.js';

const KNOWN_ELSEWHERE_MS = 1_000;
const FIRST_MS = 10_000;
const LONGEST_MS = 300_000;

export interface RerouterOptions {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly consumer: string;
  readonly logger: Logger;
  /** Writes that the delivery waits for so long. */
  reroute(delivery: Delivery, delayMs: number): void;
}

export class Rerouter {
  readonly #options: RerouterOptions;
  readonly #asking = new Set<Delivery>();
  /** One question for all that wait for its answer. */
  readonly #questions = new Map<string, Promise<boolean>>();

  constructor(options: RerouterOptions) {
    this.#options = options;
  }

  /** What is held until it is known for how long. */
  get deliveries(): ReadonlySet<Delivery> {
    return this.#asking;
  }

  /** Resolves when nothing waits for an answer. */
  async idle(): Promise<void> {
    while (this.#asking.size > 0) await Promise.allSettled(this.#questions.values());
  }

  /** Never rejects: what cannot be asked is put back for longer. */
  async add(delivery: Delivery): Promise<void> {
    const { task, version, isReadable } = delivery.envelope;
    this.#asking.add(delivery);
    // Others may know the task and still not read a newer message.
    const isKnown = isReadable && (await this.#isKnownElsewhere(task));
    this.#asking.delete(delivery);
    const delayMs = isKnown ? KNOWN_ELSEWHERE_MS : Math.min(FIRST_MS * 2 ** delivery.reroutes, LONGEST_MS);
    const why = isReadable ? 'no such task is loaded here' : `its message is of a newer version (${version})`;
    this.#options.logger.warn(
      { task, key: keyOf(delivery), reroutes: delivery.reroutes },
      `${task} is put back for ${delayMs / 1_000} s: ${why}`,
    );
    this.#options.reroute(delivery, delayMs);
  }

  #isKnownElsewhere(task: string): Promise<boolean> {
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
