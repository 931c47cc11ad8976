import { describe, expect, test } from 'vitest';
import { BACKLOG_CHUNK_MS, CHUNK_MS, Lane } from '../../../../src/worker/dispatch/lane.js';
import type { Shipment } from '../../../../src/worker/dispatch/shipment.js';
import type { Thread } from '../../../../src/worker/threads/thread.js';

/** A thread whose event loop is held; it keeps what was asked of it. */
class HeldThread {
  attended = 0;
  readonly graces: number[] = [];

  attend(): number {
    this.attended += 1;
    return this.attended;
  }
  hasAttended(): boolean {
    return false;
  }
  async terminate(graceMs: number): Promise<void> {
    this.graces.push(graceMs);
  }
}

function heldThread(): HeldThread & Thread {
  return new HeldThread() as Partial<Thread> as HeldThread & Thread;
}

function laneOf(concurrency: number, tasksPerThread?: number): Lane {
  const lane = new Lane(0, concurrency, tasksPerThread);
  lane.attach(heldThread());
  return lane;
}

function shipment(expectedMs: number): Shipment {
  return { expectedMs } as Shipment;
}

/** Puts a shipment on the lane. */
function ship(lane: Lane, nowMs = 0): Shipment {
  const one = shipment(1);
  lane.add(one, nowMs);
  return one;
}

describe('a lane without a thread', () => {
  test('has nothing free, and nothing is open', () => {
    const lane = new Lane(0, 2);
    expect([lane.thread, lane.free, lane.isOpen(0)]).toEqual([null, 0, false]);
  });

  test('serves with the thread it is given', () => {
    const lane = new Lane(0, 2);
    const thread = heldThread();
    lane.attach(thread);
    expect([lane.thread, lane.isServing, lane.takesWork]).toEqual([thread, true, true]);
  });

  test.each<[string, (lane: Lane) => unknown]>([
    ['takes a shipment', (lane) => ship(lane)],
    ['begins to end its thread', (lane) => lane.beginEnding(0)],
    ['reopens', (lane) => lane.reopen()],
    ['terminates', (lane) => lane.terminate()],
    ['retires', (lane) => lane.retire()],
    ['renews', (lane) => lane.renew()],
    ['detaches', (lane) => lane.detach()],
    ['lends a place', (lane) => lane.lendPlace(0)],
  ])('never %s', (_, transition) => {
    const lane = new Lane(0, 2);
    expect(() => transition(lane)).toThrow('it is unstaffed');
  });
});

describe('a lane that serves', () => {
  test('takes no second thread', () => {
    const lane = laneOf(1);
    expect(() => lane.attach(heldThread())).toThrow('lane 0 cannot attach a thread: it is serving, with 0 shipments');
  });

  test('begins an ending: it takes no more, and its thread is asked to attend', () => {
    const lane = laneOf(2);
    const thread = lane.thread as HeldThread & Thread;
    ship(lane);
    expect(lane.beginEnding(1_000)).toEqual({ sinceMs: 1_000, request: 1 });
    expect(lane.ending).toEqual({ sinceMs: 1_000, request: 1 });
    expect([lane.thread, lane.isServing, lane.takesWork, lane.free]).toEqual([thread, false, false, 0]);
    expect([thread.attended, thread.graces]).toEqual([1, []]);
  });

  test('is not reopened and not terminated: only an ending is', () => {
    const lane = laneOf(1);
    expect(() => lane.reopen()).toThrow('it is serving');
    expect(() => lane.terminate()).toThrow('it is serving');
  });

  test('leaves when its thread is dying', () => {
    const lane = laneOf(1);
    lane.threadDying(lane.thread!);
    expect([lane.thread, lane.ending, lane.isServing]).toEqual([null, null, false]);
    expect(() => ship(lane)).toThrow('it is leaving');
    expect(() => lane.attach(heldThread())).toThrow('it is leaving');
  });

  test('does not mind the death of a thread that it no longer has', () => {
    const lane = laneOf(1);
    const former = lane.thread!;
    lane.detach();
    lane.threadDying(former);
    const thread = heldThread();
    lane.attach(thread);
    lane.threadDying(former);
    expect([lane.thread, lane.takesWork]).toEqual([thread, true]);
  });

  test('has no thread once that was idle and exited', () => {
    const lane = laneOf(1);
    lane.detach();
    expect(lane.thread).toBeNull();
    lane.attach(heldThread());
    expect(lane.takesWork).toBe(true);
  });

  test('retires no thread that may run more, or still runs something', () => {
    const lane = laneOf(2, 2);
    const last = ship(lane);
    expect(() => lane.retire()).toThrow('it is serving, with 1 shipments');
    lane.remove(ship(lane), 1);
    expect([lane.canRetire, lane.isServing]).toEqual([false, false]);
    expect(() => lane.retire()).toThrow('it is serving, with 1 shipments');
    lane.remove(last, 2);
    expect(lane.canRetire).toBe(true);
  });

  test('retires a thread that has run all it may: it is off the lane before it is gone', () => {
    const lane = laneOf(1, 1);
    const { thread } = lane;
    lane.remove(ship(lane), 1);
    expect(lane.retire()).toBe(thread);
    expect([lane.thread, lane.canRetire]).toEqual([null, false]);
    expect(() => lane.retire()).toThrow('it is leaving');
    lane.detach();
    lane.attach(heldThread());
    expect(lane.takesWork).toBe(true);
  });

  test('takes nothing beyond what its thread may run', () => {
    const lane = laneOf(2, 1);
    ship(lane);
    expect([lane.isServing, lane.free, lane.underusedMs(70)]).toEqual([false, 0, 70]);
    expect(() => ship(lane)).toThrow('cannot take a shipment');
  });

  test('takes as many once more when its thread is renewed', () => {
    const lane = laneOf(2, 1);
    ship(lane);
    lane.renew();
    expect([lane.isServing, lane.free, lane.underusedMs(70)]).toEqual([true, 1, 0]);
  });

  test('takes another shipment for one that never ran', () => {
    const lane = laneOf(2, 1);
    lane.remove(ship(lane));
    lane.refund();
    expect([lane.isServing, lane.canRetire]).toEqual([true, false]);
  });
});

describe('a lane that is ending', () => {
  function ending(): { lane: Lane; thread: HeldThread & Thread; overdue: Shipment } {
    const lane = laneOf(2, 1);
    const overdue = ship(lane);
    lane.renew();
    lane.beginEnding(1_000);
    return { lane, thread: lane.thread as HeldThread & Thread, overdue };
  }

  test('takes no shipment, lends no place and has no second ending', () => {
    const { lane } = ending();
    expect(() => ship(lane)).toThrow('it is ending');
    expect(() => lane.lendPlace(1_000)).toThrow('it is ending');
    expect(() => lane.beginEnding(2_000)).toThrow('it is ending');
  });

  test('serves again when it is reopened', () => {
    const { lane, thread } = ending();
    lane.reopen();
    expect([lane.thread, lane.ending, lane.takesWork]).toEqual([thread, null, true]);
    expect(lane.beginEnding(2_000)).toEqual({ sinceMs: 2_000, request: 2 });
  });

  test('terminates its thread at once, and leaves: it is never reopened', () => {
    const { lane, thread } = ending();
    lane.terminate();
    expect(thread.graces).toEqual([0]);
    expect([lane.thread, lane.ending]).toEqual([null, { sinceMs: 1_000, request: 1 }]);
    expect(() => lane.reopen()).toThrow('it is leaving');
    expect(() => lane.terminate()).toThrow('it is leaving');
    expect(thread.graces).toEqual([0]);
  });

  test('leaves when its thread dies by itself, and is still known as one that was ending', () => {
    const { lane, thread } = ending();
    lane.threadDying(thread);
    expect([lane.thread, lane.ending]).toEqual([null, { sinceMs: 1_000, request: 1 }]);
  });

  test('retires its thread when its last run ended by itself and it may run no more', () => {
    const { lane, thread, overdue } = ending();
    expect(() => lane.retire()).toThrow('it is ending');
    lane.remove(overdue, 1_500);
    expect(lane.canRetire).toBe(false);
    const spent = laneOf(1, 1);
    const last = ship(spent);
    spent.beginEnding(1_000);
    spent.remove(last, 1_500);
    expect(spent.retire()).not.toBe(thread);
    expect(spent.thread).toBeNull();
  });

  test('is as good as new with the next thread', () => {
    const { lane, overdue } = ending();
    lane.terminate();
    lane.detach();
    expect(lane.ending).toBeNull();
    expect(() => lane.attach(heldThread())).toThrow('it is unstaffed, with 1 shipments');
    lane.remove(overdue);
    lane.attach(heldThread());
    expect([lane.ending, lane.takesWork]).toEqual([null, true]);
  });
});

describe('a lane that lends a place', () => {
  function lending(concurrency = 2): Lane {
    const lane = laneOf(concurrency);
    lane.lendPlace(100);
    return lane;
  }

  test('runs one execution fewer at once, and nothing waits there', () => {
    const lane = lending();
    expect([lane.capacity, lane.takesWork, lane.free]).toEqual([1, true, 1]);
    ship(lane);
    expect([lane.takesWork, lane.free, lane.isOpen(100)]).toEqual([false, 0, false]);
    expect(() => ship(lane)).toThrow('lane 0 cannot take a shipment: it is serving, lending a place, with 1 shipments');
  });

  test('lends one at most, and only a free one', () => {
    expect(() => lending().lendPlace(100)).toThrow('cannot lend a place');
    const full = laneOf(1);
    ship(full);
    expect(() => full.lendPlace(100)).toThrow('cannot lend a place');
  });

  test('runs as many as before when the place is back, and takes it back only once', () => {
    const lane = lending();
    ship(lane);
    lane.takeBackPlace();
    expect([lane.capacity, lane.free]).toEqual([2, 1]);
    expect(() => lane.takeBackPlace()).toThrow('cannot take back a place');
  });

  test('counts as without progress from then on if the place was its only one', () => {
    expect(lending(1).sinceProgressMs(350)).toBe(250);
    expect(lending(2).sinceProgressMs(350)).toBe(0);
  });

  test('lends it also while its thread is replaced', () => {
    const lane = lending();
    lane.threadDying(lane.thread!);
    lane.detach();
    lane.attach(heldThread());
    expect(lane.capacity).toBe(1);
  });
});

describe('what a lane has to do', () => {
  test('as many runs are free as would start at once', () => {
    const lane = laneOf(2);
    expect(lane.free).toBe(2);
    for (let i = 0; i < 3; i++) ship(lane);
    expect(lane.free).toBe(0);
  });

  test('takes work ahead until it has enough for 5 ms', () => {
    const lane = laneOf(1);
    lane.add(shipment(CHUNK_MS - 1), 0);
    expect(lane.isOpen(0)).toBe(true);
    lane.add(shipment(1), 0);
    expect(lane.isOpen(0)).toBe(false);
  });

  test('is stuck after the time of two chunks', () => {
    const lane = laneOf(1);
    lane.add(shipment(1), 0);
    expect([lane.isStuck(10), lane.isStuck(11)]).toEqual([false, true]);
    lane.paceBy(BACKLOG_CHUNK_MS);
    expect([lane.isStuck(40), lane.isStuck(41)]).toEqual([false, true]);
  });

  test('a thread that runs several at once has enough when one more would wait for 5 ms', () => {
    const lane = laneOf(4);
    for (let i = 0; i < 4; i++) {
      expect([lane.waitMs, lane.isOpen(0)]).toEqual([0, true]);
      lane.add(shipment(8), 0);
    }
    expect([lane.waitMs, lane.isOpen(0)]).toEqual([2, true]); // of four that take 8 ms, one ends every 2 ms
    lane.add(shipment(8), 0);
    expect([lane.waitMs, lane.isOpen(0)]).toEqual([4, true]);
    lane.add(shipment(8), 0);
    expect([lane.waitMs, lane.isOpen(0)]).toEqual([6, false]);
  });

  test('is stuck when nothing ends for longer than its work should take, and takes no more', () => {
    const lane = laneOf(1);
    const first = ship(lane, 1_000);
    ship(lane, 1_005);
    expect([lane.isStuck(1_010), lane.isOpen(1_010)]).toEqual([false, true]);
    expect([lane.isStuck(1_011), lane.isOpen(1_011), lane.sinceProgressMs(1_011)]).toEqual([true, false, 11]);
    lane.remove(first, 1_011);
    expect([lane.isStuck(1_012), lane.sinceProgressMs(1_012)]).toEqual([false, 1]);
  });

  test('is as stuck as before when something is taken back from it', () => {
    const lane = laneOf(1);
    ship(lane, 1_000);
    lane.remove(ship(lane, 1_000));
    expect([lane.isStuck(1_020), lane.sinceProgressMs(1_020)]).toEqual([true, 20]);
  });

  test('is never stuck while it has nothing to do', () => {
    const lane = laneOf(1);
    expect([lane.isStuck(1e9), lane.sinceProgressMs(1e9)]).toEqual([false, 0]);
  });

  test('forgets rounding errors when it is empty', () => {
    const lane = laneOf(1);
    const shipments = [0.1, 0.2, 0.3].map((expectedMs) => shipment(expectedMs));
    for (const one of shipments) lane.add(one, 0);
    for (const one of shipments) lane.remove(one, 0);
    expect(lane.expectedMs).toBe(0);
  });
});

describe('a lane that is blocked', () => {
  test('has nothing free until a run ends', () => {
    const lane = laneOf(3);
    const first = ship(lane);
    ship(lane);
    lane.block();
    expect(lane.free).toBe(0);
    lane.remove(first, 1);
    expect(lane.free).toBe(2);
  });

  test('takes work again once its thread attends', () => {
    const lane = new Lane(0, 2);
    let seen = 0;
    lane.attach({ attend: () => 7, hasAttended: (request: number) => seen >= request } as Partial<Thread> as Thread);
    ship(lane);
    lane.block();
    expect(lane.free).toBe(0);
    seen = 7;
    expect(lane.free).toBe(1);
  });

  test('takes work again with its next thread', () => {
    const lane = laneOf(2);
    const [lost, taken] = [ship(lane), ship(lane)];
    lane.block();
    lane.remove(taken);
    expect(lane.free).toBe(0);
    lane.threadDying(lane.thread!);
    lane.detach();
    lane.remove(lost);
    lane.attach(heldThread());
    expect([lane.free, lane.isOpen(0)]).toEqual([2, true]);
  });

  test('is not blocked by nothing', () => {
    const lane = laneOf(2);
    lane.block();
    expect(lane.free).toBe(2);
  });
});
