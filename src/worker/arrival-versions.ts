/**
 * Knows for each partition a version of its strikes that was current while the layout had the partition.
 *
 * Owns the rule that nothing is moved into a partition that was removed, and no chain of an automatic task starts
 * there. A move names this version, as an add does, and arrives only while it is current. So does what starts a chain,
 * but for partition 0, which is never removed. A change of the layout gives every partition a new version before the
 * layout is written. So a worker that does not know of the change is refused, and then asks for the layout.
 */
import type { Redis } from 'ioredis';
import type { Keys } from '../redis/keys.js';
import { isLayoutChanging, loadLayout } from '../redis/layout-store.js';
import { strikesVersion } from '../redis/strike-store.js';

/** The partition to which an execution goes. */
export interface Destination {
  readonly redis: Redis;
  readonly keys: Keys;
}

export class ArrivalVersions {
  readonly #first: Destination;
  readonly #known = new Map<string, Promise<string>>();

  /** @param first - partition 0, which has the layout */
  constructor(first: Destination) {
    this.#first = first;
  }

  /** Returns the version for a partition. Rejects when the layout does not have that partition, or is being changed. */
  of(tag: string, to: Destination): Promise<string> {
    const known = this.#known.get(tag);
    if (known) return known;
    const asked = this.#ask(tag, to);
    this.#known.set(tag, asked);
    asked.catch(() => {
      if (this.#known.get(tag) === asked) this.forget(tag);
    });
    return asked;
  }

  /** Forgets the version for a partition, which is no longer current. */
  forget(tag: string): void {
    this.#known.delete(tag);
  }

  /** Asks in the order of a producer: if a change begins in between, the version is outdated, or its mark is seen. */
  async #ask(tag: string, { redis, keys }: Destination): Promise<string> {
    const [version, isChanging] = await Promise.all([strikesVersion(redis, keys), isLayoutChanging(redis, keys)]);
    if (isChanging) throw new Error('the partitions of the docket are being changed');
    const { tags } = await loadLayout(this.#first.redis, this.#first.keys);
    if (!tags.includes(tag)) throw new Error(`the docket has no partition '${tag}' any more`);
    return version;
  }
}
