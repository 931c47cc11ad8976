/**
 * Divides the room of the dispatcher among the partitions of a worker.
 *
 * Owns these rules:
 * - A partition gets room when it asks. If others wait for room, each gets an equal part, and the remainder goes to the
 *   partition that has waited longest. So no partition with work starves, and a busy one has all the room while the
 *   others are idle.
 * - Room beyond the number of executions that run at once exists for short executions, which are read about 50 ms
 *   ahead. This room is not divided. The partitions that wait take turns, because many small batches cost the worker
 *   more than a few large ones.
 * - A read of entries that are there takes room until it has ended. A read that waits for its first entry takes none,
 *   since the others could not use that room meanwhile. In return it may bring only an equal part of the room, and one
 *   entry of each stream while another partition has work. So the worker may have a few more deliveries than there is
 *   room for.
 * - Entries of a partition whose server cannot be reached take no room. They can be neither claimed nor started, so
 *   they would keep the others from working. The same holds for a read without an answer for half a second: it takes
 *   seconds until a server that has fallen silent counts as one that cannot be reached. When the server answers again,
 *   the worker may have more deliveries, and more bytes in hand, than there is room for, by one read of each partition.
 */
import { monotonicMs } from '../../core/clock.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';

/** The intake of one partition, as the others see it. */
export interface Sharer {
  /** Returns how many of its entries have been read and are not with the dispatcher yet. */
  pending(): number;
  /** Whether its server can be reached, as far as is known. */
  isReachable(): boolean;
  /** Ends its wait for room. */
  wake(): void;
}

/** The room of one turn: as many entries as one read brings. */
const TURN = 1_024;
/** After this long without an answer, a read takes no room any more. */
const OVERDUE_MS = 500;

export class RoomShares {
  readonly #dispatcher: Pick<Dispatcher, 'room' | 'size'>;
  /** The number of executions that run at once. */
  readonly #concurrency: number;
  readonly #shares = new Set<RoomShare>();
  /** Those that wait for room, the one that has waited longest first. */
  readonly #waiting = new Set<RoomShare>();
  /** Wakes those that wait for room once a read may be overdue. */
  #timer: NodeJS.Timeout | undefined;

  constructor(dispatcher: Pick<Dispatcher, 'room' | 'size'>, concurrency: number) {
    this.#dispatcher = dispatcher;
    this.#concurrency = concurrency;
  }

  join(sharer: Sharer): RoomShare {
    const share = new RoomShare(this, sharer);
    this.#shares.add(share);
    return share;
  }

  /** Removes a share. Others may use its room. */
  remove(share: RoomShare): void {
    this.#shares.delete(share);
    this.#waiting.delete(share);
    if (this.#shares.size === 0) clearTimeout(this.#timer);
    this.wakeOthers(share);
  }

  /** Returns the room for this share. If there is none, it waits from now on. */
  roomFor(share: RoomShare): number {
    let available = this.#dispatcher.room;
    let beingRead = 0;
    for (const { pending, taken } of this.#shares) {
      available -= pending + taken;
      beingRead += taken;
    }
    const room = Math.max(0, this.#partOf(available, share));
    if (room > 0) {
      this.#waiting.delete(share);
      return room;
    }
    this.#waiting.add(share);
    if (available + beingRead > 0) this.#watchReads();
    return 0;
  }

  /** No execution may end before a read is overdue, so nothing else would wake those that wait for its room. */
  #watchReads(): void {
    if (this.#timer) return;
    let untilOverdueMs = OVERDUE_MS;
    for (const share of this.#shares) untilOverdueMs = Math.min(untilOverdueMs, share.untilOverdueMs);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      for (const share of this.#waiting) share.wake();
    }, Math.ceil(untilOverdueMs)).unref();
  }

  #partOf(available: number, share: RoomShare): number {
    let before = 0;
    let others = 0;
    let isBehind = false;
    for (const one of this.#waiting) {
      if (one === share) {
        isBehind = true;
        continue;
      }
      others += 1;
      if (!isBehind) before += 1;
    }
    if (others === 0 || available <= 0) return available;
    if (available > this.#concurrency) return Math.min(available - before * TURN, TURN);
    const parts = others + 1;
    return Math.floor(available / parts) + (before < available % parts ? 1 : 0);
  }

  /** Makes this share wait for room, although there is some. */
  wait(share: RoomShare): void {
    this.#waiting.add(share);
  }

  /** Ends the wait of this share, so that no other share waits behind it. */
  withdraw(share: RoomShare): void {
    if (this.#waiting.delete(share)) this.wakeOthers(share);
  }

  wakeOthers(share: RoomShare): void {
    for (const one of this.#waiting) if (one !== share) one.wake();
  }

  /** Returns how many deliveries the worker has read beyond what runs at once. */
  get ahead(): number {
    let size = this.#dispatcher.size - this.#concurrency;
    for (const { pending } of this.#shares) size += pending;
    return Math.max(0, size);
  }

  /** Returns how many entries the reads of others may bring. */
  coming(share: RoomShare): number {
    let coming = 0;
    for (const one of this.#shares) if (one !== share) coming += one.taken;
    return coming;
  }

  /** Returns how many entries a read that waits may bring, of the room that there is. */
  partWhileWaiting(room: number, share: RoomShare): number {
    if (this.#shares.size === 1) return room;
    let isBusy = this.#waiting.size > 0;
    for (const one of this.#shares) isBusy ||= one !== share && one.pending + one.taken > 0;
    return isBusy ? 1 : Math.ceil(room / this.#shares.size);
  }
}

/** The part of one partition. */
export class RoomShare {
  readonly #all: RoomShares;
  readonly #sharer: Sharer;
  /** How much room its present read has taken. */
  #taken = 0;
  /** When it took that, on the monotonic clock. */
  #takenMs = 0;

  constructor(all: RoomShares, sharer: Sharer) {
    this.#all = all;
    this.#sharer = sharer;
  }

  get pending(): number {
    return this.#sharer.isReachable() ? this.#sharer.pending() : 0;
  }

  get taken(): number {
    return this.untilOverdueMs < Number.POSITIVE_INFINITY && this.#sharer.isReachable() ? this.#taken : 0;
  }

  /** How long until its present read is overdue, in milliseconds; infinite when there is none, or it is overdue. */
  get untilOverdueMs(): number {
    if (this.#taken === 0) return Number.POSITIVE_INFINITY;
    const leftMs = this.#takenMs + OVERDUE_MS - monotonicMs();
    return leftMs > 0 ? leftMs : Number.POSITIVE_INFINITY;
  }

  /** Returns the room for a read. If there is none, its intake is woken when there may be some. */
  room(): number {
    return this.#all.roomFor(this);
  }

  /** Takes room for a read of what is there. */
  take(count: number): void {
    this.#taken = count;
    this.#takenMs = monotonicMs();
  }

  /** Waits for room, because its intake could not use the room that there was. The intake is woken when there may be more. */
  wait(): void {
    this.#all.wait(this);
  }

  /** Ends the wait for room, because its intake could not read now. Otherwise others would wait behind it. */
  withdraw(): void {
    this.#all.withdraw(this);
  }

  /**
   * Gives back what was taken, since the read waits for the first entry from now on. Returns how many it may bring.
   * @param room - what there was for a read
   */
  standBy(room: number): number {
    this.release();
    return this.#all.partWhileWaiting(room, this);
  }

  /** Gives back the room that a read had taken. */
  release(): void {
    this.#taken = 0;
    this.#all.wakeOthers(this);
  }

  /** How many deliveries the worker has read beyond what runs at once. */
  get ahead(): number {
    return this.#all.ahead;
  }

  /** How many entries the reads of other partitions may bring. */
  get coming(): number {
    return this.#all.coming(this);
  }

  /** Leaves the division of room for good. */
  leave(): void {
    this.#taken = 0;
    this.#all.remove(this);
  }

  wake(): void {
    this.#sharer.wake();
  }
}
