/** How the partitions of a worker share the room of its dispatcher. */
import { describe, expect, test, vi } from 'vitest';
import { RoomShares } from '../../../../src/worker/intake/room-shares.js';
import { stopTime } from '../../../support/fake-time.js';

stopTime();

/** Partitions in front of a dispatcher whose room the test sets. */
class Worker {
  readonly dispatcher = { room: 0, size: 0 };
  readonly #shares: RoomShares;
  /** Names of those that were woken, in order. */
  readonly woken: string[] = [];

  /** @param concurrency - how many executions run at once */
  constructor(concurrency = 100) {
    this.#shares = new RoomShares(this.dispatcher, concurrency);
  }

  /** A partition with so many entries that are not dispatched. */
  join(name: string, pending = 0, isReachable = () => true) {
    return this.#shares.join({ pending: () => pending, isReachable, wake: () => void this.woken.push(name) });
  }
}

describe('the room of a worker', () => {
  test('is all there for its only partition, less what that has read and not dispatched', () => {
    const worker = new Worker();
    const only = worker.join('only', 3);
    worker.dispatcher.room = 10;
    expect(only.room()).toBe(7);
    only.take(7);
    expect(only.standBy(7)).toBe(7);
  });

  test('is all there for a busy partition while the others are idle', () => {
    const worker = new Worker();
    const busy = worker.join('busy');
    worker.join('idle');
    worker.dispatcher.room = 10;
    expect(busy.room()).toBe(10);
  });

  test('is not taken by what a partition has read, or is reading, while its server cannot be reached', () => {
    const worker = new Worker(10);
    let isReachable = true;
    const lost = worker.join('lost', 40, () => isReachable);
    const healthy = worker.join('healthy');
    worker.dispatcher.room = 50;
    lost.take(10);
    expect([healthy.room(), healthy.ahead, healthy.coming]).toEqual([0, 30, 10]);
    isReachable = false;
    expect([healthy.room(), healthy.ahead, healthy.coming]).toEqual([50, 0, 0]);
  });

  test('is not taken any more by a read without an answer for half a second, and those that wait for it are woken', async () => {
    const worker = new Worker();
    const [silent, healthy] = [worker.join('silent'), worker.join('healthy')];
    worker.dispatcher.room = 1;
    silent.take(silent.room());
    expect(healthy.room()).toBe(0);
    await vi.advanceTimersByTimeAsync(499);
    expect([healthy.room(), worker.woken]).toEqual([0, []]);
    await vi.advanceTimersByTimeAsync(1);
    expect([healthy.room(), worker.woken]).toEqual([1, ['healthy']]);
    healthy.take(1);
    silent.release();
    expect(silent.room()).toBe(0);
  });

  test('is there half a second after the last read began, however long the wait for it lasts already', async () => {
    const worker = new Worker();
    const [first, silent, healthy] = [worker.join('first'), worker.join('silent'), worker.join('healthy')];
    worker.dispatcher.room = 1;
    first.take(1);
    expect(healthy.room()).toBe(0);
    await vi.advanceTimersByTimeAsync(400);
    silent.take(1);
    first.release();
    expect(healthy.room()).toBe(0);
    await vi.advanceTimersByTimeAsync(100);
    expect(healthy.room()).toBe(0);
    worker.woken.length = 0;
    await vi.advanceTimersByTimeAsync(400);
    expect([worker.woken, healthy.room()]).toEqual([['healthy'], 1]);
  });

  test('is waited for without a timer while nothing is being read, and when all have left', () => {
    const worker = new Worker();
    const [a, b] = [worker.join('a'), worker.join('b', 1)];
    worker.dispatcher.room = 1;
    expect(a.room()).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    worker.dispatcher.room = 2;
    b.take(1);
    expect(a.room()).toBe(0);
    expect(vi.getTimerCount()).toBe(1);
    for (const one of [a, b]) one.leave();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is divided in equal parts among those that wait for it, and the one that has waited longest gets the rest', () => {
    const worker = new Worker();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => worker.join(name));
    for (const one of [a, b, c]) expect(one!.room()).toBe(0);
    worker.dispatcher.room = 8;
    expect(b!.room()).toBe(3);
    b!.take(3);
    expect(c!.room()).toBe(2);
    c!.take(2);
    expect(a!.room()).toBe(3);
  });

  test('goes to one after the other in whole reads while it is for more than runs at once', () => {
    const worker = new Worker(10);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => worker.join(name));
    for (const one of [a, b, c]) expect(one!.room()).toBe(0);
    worker.dispatcher.room = 1_500;
    expect(c!.room()).toBe(0); // two others have waited longer
    expect(b!.room()).toBe(476);
    expect(a!.room()).toBe(1_024);
    a!.take(1_024);
    expect(a!.room()).toBe(0);
  });

  test('goes in turn to partitions with work when only one place becomes free at a time', () => {
    const worker = new Worker();
    const shares = ['a', 'b', 'c'].map((name) => [name, worker.join(name)] as const);
    for (const [, share] of shares) share.room();
    worker.dispatcher.room = 1;
    const served: string[] = [];
    for (let i = 0; i < 9; i++) {
      for (const [name, share] of shares) {
        if (share.room() === 0) continue;
        share.take(1);
        served.push(name);
      }
      for (const [, share] of shares) share.release(); // what was read has ended, so its place is free again
    }
    expect(served).toEqual(['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c']);
  });

  test('is not kept from others by a read that waits for entries, and they are woken', () => {
    const worker = new Worker();
    const [idle, busy] = ['idle', 'busy'].map((name) => worker.join(name));
    worker.dispatcher.room = 4;
    expect(idle!.room()).toBe(4);
    idle!.take(4);
    expect(busy!.room()).toBe(0);
    expect(idle!.standBy(4)).toBe(1); // another one waits for room
    expect(worker.woken).toContain('busy');
    expect(busy!.room()).toBe(4);
  });

  test('is not kept from others by a partition that waited for it and cannot read any more', () => {
    const worker = new Worker(10);
    const [down, up] = ['down', 'up'].map((name) => worker.join(name));
    for (const one of [down, up]) expect(one!.room()).toBe(0);
    worker.dispatcher.room = 100;
    expect(up!.room()).toBe(0); // the other one has waited longer, and its turn takes all
    down!.withdraw();
    expect(worker.woken).toEqual(['up']);
    expect(up!.room()).toBe(100);
  });

  test('is divided among reads that wait while no partition has work', () => {
    const worker = new Worker();
    const shares = ['a', 'b', 'c', 'd'].map((name) => worker.join(name));
    worker.dispatcher.room = 10;
    for (const share of shares) {
      const room = share.room();
      share.take(room);
      expect(share.standBy(room)).toBe(3);
    }
  });

  test('is there for the others once a partition is closed', () => {
    const worker = new Worker();
    const [gone, left] = ['gone', 'left'].map((name) => worker.join(name));
    worker.dispatcher.room = 5;
    gone!.take(gone!.room());
    expect(left!.room()).toBe(0);
    gone!.leave();
    expect(worker.woken).toEqual(['left']);
    expect(left!.room()).toBe(5);
  });

  test('says how much is read ahead, and how much others may bring', () => {
    const worker = new Worker(4);
    const [a, b] = [worker.join('a', 2), worker.join('b', 1)];
    b.take(6);
    expect([a.ahead, a.coming, b.coming]).toEqual([0, 6, 0]);
    worker.dispatcher.size = 10;
    expect([a.ahead, b.ahead]).toEqual([9, 9]);
  });
});
