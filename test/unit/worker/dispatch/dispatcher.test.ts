/** The dispatcher with threads that do what the test says, on a clock that the test moves. */
import { describe, expect, test, vi } from 'vitest';
import {
  type ChunkItem,
  decodeChunk,
  type Outcome,
  type OutcomeBatch,
  OutcomeCollector,
} from '../../../../src/channel/protocol.js';
import { SlotState, StopReason, shipmentIdOf } from '../../../../src/channel/slots.js';
import { monotonicMs } from '../../../../src/core/clock.js';
import type { Token } from '../../../../src/redis/delivery-store.js';
import { encoderFor } from '../../../../src/wire/codec.js';
import { encodeEnvelope } from '../../../../src/wire/envelope.js';
import { type Delivery, deliveryOf } from '../../../../src/worker/delivery.js';
import { Dispatcher, type DispatcherEvents } from '../../../../src/worker/dispatch/dispatcher.js';
import type { Lane } from '../../../../src/worker/dispatch/lane.js';
import type { CondemnReason, Shipment } from '../../../../src/worker/dispatch/shipment.js';
import { IdleThread } from '../../../support/fake-thread.js';
import { stopTime } from '../../../support/fake-time.js';
import { type Deferred, deferred } from '../../../support/wait.js';
import { NO_PIPELINE } from '../deliveries.js';

const COMPLETED: Outcome = { kind: 'completed', result: null };

stopTime();

interface SentChunk {
  readonly items: readonly ChunkItem[];
  /** Those whose outcomes were sent: their rows may be used again already. */
  readonly reported: Set<ChunkItem>;
  /** Those that have ended but whose outcomes wait for the event loop. */
  readonly unreported: [shipmentId: number, outcome: Outcome][];
  next: number;
  readonly answer: Deferred<OutcomeBatch>;
}

/** A thread that starts and ends what it was sent when it is told to, one after the other. */
class FakeThread extends IdleThread {
  /** Names of what was shipped, chunk by chunk. */
  readonly shipped: string[][] = [];
  /** How long outcomes may wait on it, chunk by chunk. */
  readonly patience: number[] = [];
  readonly lane: Lane;
  readonly #fleet: Fleet;
  #chunks: SentChunk[] = [];
  #current: ChunkItem | undefined;
  #isDead = false;
  /** The answers to what was sent after its death. */
  readonly #unheard: Deferred<OutcomeBatch>[] = [];

  constructor(fleet: Fleet, lane: Lane) {
    super();
    this.#fleet = fleet;
    this.lane = lane;
  }

  run(bytes: Uint8Array, patienceMs: number) {
    this.patience.push(patienceMs);
    const items = decodeChunk(bytes);
    const answer = deferred<OutcomeBatch>();
    if (this.#isDead) {
      this.#unheard.push(answer);
      return answer.promise;
    }
    this.#fleet.occupy(items);
    this.shipped.push(items.map(({ message }) => this.#fleet.nameOf(message)));
    this.#chunks.push({ items, reported: new Set(), unreported: [], next: 0, answer });
    return answer.promise;
  }

  /** The items of the chunks that it has not answered. */
  items(): [ChunkItem, ...ChunkItem[]] {
    return this.#chunks.flatMap(({ items }) => items) as [ChunkItem, ...ChunkItem[]];
  }

  get isRunning(): boolean {
    return this.#current !== undefined;
  }

  /** Starts the next item that was not taken back, and returns its name. */
  begin(): string | undefined {
    const { slots } = this.#fleet.dispatcher;
    while (!this.#current && this.#chunks[0]) {
      const chunk = this.#chunks[0];
      const item = chunk.items[chunk.next];
      if (item && slots.begin(item.row, item.epoch, monotonicMs())) this.#current = item;
      else if (item) {
        chunk.next += 1;
      }
      if (chunk.next === chunk.items.length) this.#answer([]);
    }
    return this.#current && this.#fleet.nameOf(this.#current.message);
  }

  /** Ends what runs, which took `durationMs`, and reports at once. */
  end(outcome: Outcome = COMPLETED, durationMs = 1): void {
    const item = this.#current!;
    const chunk = this.#chunks[0]!;
    const { slots } = this.#fleet.dispatcher;
    const isReturned = outcome.kind === 'completed' && outcome.result === null;
    slots.end(item.row, item.epoch, slots.startedAt(item.row) + durationMs, isReturned);
    this.#current = undefined;
    chunk.next += 1;
    const collector = new OutcomeCollector();
    collector.add(shipmentIdOf(item.row, item.epoch), outcome);
    this.#fleet.vacate([item]);
    chunk.reported.add(item);
    if (chunk.next === chunk.items.length) this.#answer([[shipmentIdOf(item.row, item.epoch), outcome]]);
    else this.#fleet.dispatcher.receive(this.lane, collector.take());
  }

  /** Ends what runs, but cannot report it, because what comes next holds the event loop. */
  endUnreported(): void {
    const item = this.#current!;
    const chunk = this.#chunks[0]!;
    const { slots } = this.#fleet.dispatcher;
    slots.end(item.row, item.epoch, slots.startedAt(item.row) + 0.01, true);
    this.#current = undefined;
    chunk.next += 1;
    chunk.unreported.push([shipmentIdOf(item.row, item.epoch), COMPLETED]);
  }

  /** Runs everything it has; each item takes `durationMs`. */
  async work(durationMs = 1): Promise<void> {
    while (this.begin()) {
      this.end(COMPLETED, durationMs);
      await settled();
    }
    await settled();
  }

  /** Dies with all it has. Returns a function that rejects its chunks, by which the dispatcher learns of it. */
  die(): () => void {
    const chunks = this.#chunks;
    for (const { items, reported } of chunks) this.#fleet.vacate(items.filter((item) => !reported.has(item)));
    this.#chunks = [];
    this.#current = undefined;
    this.#isDead = true;
    return () => {
      const answers = [...chunks.map(({ answer }) => answer), ...this.#unheard];
      for (const answer of answers) answer.reject(new Error('the thread died'));
    };
  }

  #answer(rest: [shipmentId: number, outcome: Outcome][]): void {
    const chunk = this.#chunks.shift()!;
    const collector = new OutcomeCollector();
    for (const [shipmentId, outcome] of [...chunk.unreported, ...rest]) collector.add(shipmentId, outcome);
    this.#fleet.vacate(chunk.items.filter((item) => !chunk.reported.has(item)));
    chunk.answer.resolve(collector.take());
  }
}

/** A dispatcher with its threads, and the events it has emitted. */
class Fleet {
  readonly dispatcher: Dispatcher;
  readonly threads: FakeThread[];
  readonly ended: string[] = [];
  readonly lost: string[] = [];
  /** Whether each of `lost` was alone. */
  readonly lostAlone: boolean[] = [];
  readonly condemned: [record: string, reason: 'timeout' | StopReason][] = [];
  readonly requeued: string[] = [];
  /** Suspects that cannot run here soon. */
  readonly turnedAway: string[] = [];
  /** Suspects that cannot run alone here soon. */
  readonly rerouted: string[] = [];
  /** Suspects that are marked as alone. */
  readonly marked = new Set<string>();
  /** Stands for the trips to Redis by which suspects are marked. */
  mark = async () => true;
  unmark = async () => {};
  readonly spent: FakeThread[] = [];
  /** Lanes whose threads were ended because they were occupied. */
  readonly occupiedLanes: number[] = [];
  /** Lanes that were without the thread they needed. */
  readonly needed: Lane[] = [];
  readonly messages: [record: string, message: string | null][] = [];
  /** What has left its row, and the state of the row then. */
  readonly left: [record: string, state: SlotState][] = [];
  rooms = 0;
  onLostThreadRelieved = () => {};
  onEnded = () => {};
  /** Rows that a thread may still touch. */
  readonly occupied = new Set<number>();
  #count = 0;

  constructor(threads: number, concurrency = threads, tasksPerThread?: number) {
    const events: DispatcherEvents = {
      onOutcome: (delivery) => {
        this.ended.push(delivery.record!);
        this.onEnded();
      },
      onThreadLost: (delivery, wasAlone) => {
        this.lost.push(delivery.record!);
        this.lostAlone.push(wasAlone);
      },
      onThreadEndedFor: (delivery, reason) => this.condemned.push([delivery.record!, reason]),
      onSuspectShipped: () => {},
      onSuspectMustWait: (delivery) => this.turnedAway.push(delivery.record!),
      onLostThreadRelieved: () => this.onLostThreadRelieved(),
      onRequeue: (deliveries) => this.requeued.push(...deliveries.map(({ record }) => record!)),
      onCapacity: () => {
        this.rooms += 1;
      },
      onThreadSpent: (thread) => this.spent.push(thread as FakeThread),
      onThreadOccupied: ({ index }) => this.occupiedLanes.push(index),
      onThreadNeeded: (lane) => this.needed.push(lane),
      onSuspectNotAlone: (delivery) => this.rerouted.push(delivery.record!),
      markAlone: async ({ record }) => {
        const isMarked = await this.mark();
        this.marked.add(record!);
        return isMarked;
      },
      unmarkAlone: async ({ record }) => {
        await this.unmark();
        this.marked.delete(record!);
      },
      onProgressMessage: ({ record }, message) => this.messages.push([record!, message]),
      onLeavingRow: ({ record, row }) => this.left.push([record!, this.dispatcher.slots.state(row)]),
    };
    this.dispatcher = new Dispatcher(threads, concurrency, events, tasksPerThread);
    this.threads = this.dispatcher.lanes.map((lane) => this.#attach(lane));
  }

  /** Adds executions of these tasks, and returns their names, which are unique in the fleet. */
  add(...tasks: string[]): string[] {
    const deliveries = tasks.map((task) => this.delivery(task));
    this.dispatcher.add(deliveries);
    return deliveries.map(({ record }) => record!);
  }

  delivery(task: string, deliveries = 0, reroutes = 0): Delivery {
    const name = `${task}${this.#count++}`;
    const message = encodeEnvelope(encoderFor({ name }, 'args'), task, 0, name, { name });
    const token: Token = `w${this.#count}-0`;
    const rest = {
      dueMs: 1,
      deliveries,
      charges: 0,
      reroutes,
      admissionStage: 'new' as const,
      holdsPermits: false,
      hasBooking: false,
    };
    return deliveryOf({ token, record: name, message, ...rest }, () => ({}), NO_PIPELINE);
  }

  nameOf(message: Uint8Array): string {
    return /\xa4name.(\w+)$/s.exec(Buffer.from(message).toString('latin1'))![1]!;
  }

  /** Teaches the dispatcher how long a task takes. */
  async learn(task: string, durationMs: number): Promise<void> {
    this.add(task);
    for (const thread of this.threads) await thread.work(durationMs);
    this.ended.length = 0;
    for (const thread of this.threads) thread.shipped.length = 0;
  }

  occupy(items: readonly ChunkItem[]): void {
    for (const { row } of items) {
      if (this.occupied.has(row)) throw new Error(`row ${row} was shipped while a thread may still touch it`);
      this.occupied.add(row);
    }
  }

  vacate(items: readonly ChunkItem[]): void {
    for (const { row } of items) this.occupied.delete(row);
  }

  replace(index: number): void {
    this.threads[index] = this.#attach(this.dispatcher.lanes[index]!);
  }

  /** Starts the thread that the suspect needs. */
  startSuspectThread(): FakeThread {
    return this.#attach(this.needed.shift()!);
  }

  /** Ends the thread of the suspect, which was retired. */
  endSuspectThread(): void {
    this.dispatcher.detach(this.dispatcher.allLanes.at(-1)!);
    this.threads.length = this.dispatcher.lanes.length;
  }

  #attach(lane: Lane): FakeThread {
    const thread = new FakeThread(this, lane);
    if (this.threads) this.threads[lane.index] = thread;
    this.dispatcher.attach(lane, thread);
    return thread;
  }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

/** The number of executions in each chunk that each thread was sent. */
function chunkSizes(fleet: Fleet): number[][] {
  return fleet.threads.map(({ shipped }) => shipped.map((chunk) => chunk.length));
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

describe('a thread that is held by code that is no execution', () => {
  /** Holds the event loop of a thread before it begins what it is sent. */
  function hold(thread: FakeThread): FakeThread {
    thread.isUnresponsive = true;
    return thread;
  }

  test('keeps no execution from an idle thread, also if there is one only', async () => {
    const fleet = new Fleet(2);
    const [held, free] = [hold(fleet.threads[0]!), fleet.threads[1]!];
    const [only] = fleet.add('new');
    expect(held.shipped).toEqual([[only]]);
    await pass(240);
    expect(free.shipped).toEqual([]);
    await pass(20);
    expect(free.shipped).toEqual([[only]]);
    await free.work();
    expect(fleet.ended).toEqual([only]);
    const [next] = fleet.add('new');
    expect([held.shipped, free.shipped.at(-1)]).toEqual([[[only]], [next]]);
  });

  test('has its only execution given back where no other thread is free, and is sent nothing until it attends', async () => {
    const fleet = new Fleet(1);
    const thread = hold(fleet.threads[0]!);
    const [only] = fleet.add('new');
    await pass(260);
    expect([fleet.requeued, fleet.dispatcher.room]).toEqual([[only], 0]);
    const [next] = fleet.add('new');
    await pass(60);
    expect([thread.shipped, fleet.requeued]).toEqual([[[only]], [only, next]]);
    const before = fleet.rooms;
    thread.isUnresponsive = false;
    await pass(60);
    expect(fleet.dispatcher.room).toBeGreaterThan(0);
    expect(fleet.rooms).toBeGreaterThan(before);
    const [last] = fleet.add('new');
    expect(thread.shipped.at(-1)).toEqual([last]);
  });

  test('is ended after 30 s in which the worker has looked at it, and replaced', async () => {
    const fleet = new Fleet(1);
    const thread = hold(fleet.threads[0]!);
    fleet.add('new');
    await pass(30_000);
    expect([thread.isEnded, fleet.occupiedLanes]).toEqual([false, []]);
    await pass(500);
    expect([thread.isEnded, fleet.occupiedLanes]).toEqual([true, [0]]);
    thread.die();
    fleet.dispatcher.detach(fleet.dispatcher.lanes[0]!);
    fleet.replace(0);
    const [next] = fleet.add('new');
    expect(fleet.threads[0]!.shipped).toEqual([[next]]);
  });

  test('is not ended for the time in which the whole process stood still', async () => {
    const fleet = new Fleet(1);
    const thread = hold(fleet.threads[0]!);
    fleet.add('new');
    await pass(1_000);
    vi.setSystemTime(Date.now() + 60_000);
    vi.advanceTimersToNextTimer();
    await pass(10_000);
    expect(thread.isEnded).toBe(false);
  });

  test('costs an execution that has begun nothing', async () => {
    const fleet = new Fleet(2);
    const [only] = fleet.add('new');
    expect(fleet.threads[0]!.begin()).toBe(only);
    hold(fleet.threads[0]!);
    await pass(60_000);
    expect([fleet.requeued, fleet.threads[1]!.shipped, fleet.occupiedLanes]).toEqual([[], [], []]);
  });
});

describe('shipping', () => {
  test('a task of unknown duration travels alone, to a thread that can start it at once', () => {
    const fleet = new Fleet(2);
    const names = fleet.add('new', 'new', 'new');
    expect(fleet.threads.map(({ shipped }) => shipped)).toEqual([[[names[0]]], [[names[1]]]]);
  });

  test('the first run sets the estimate, then quick ones travel together', async () => {
    const fleet = new Fleet(1);
    await fleet.learn('quick', 0.05);
    fleet.add(...Array(20).fill('quick'));
    expect(fleet.threads[0]!.shipped[0]!.length).toBeGreaterThan(5);
  });

  test('a chunk is worth 5 ms', async () => {
    const fleet = new Fleet(1);
    await fleet.learn('two', 2);
    fleet.add(...Array(4).fill('two'));
    expect(fleet.threads[0]!.shipped[0]).toHaveLength(2);
    expect(fleet.threads[0]!.patience.at(-1)).toBe(0.5);
  });

  test('in a backlog a chunk is worth 20 ms, and its outcomes may wait as long for each other', async () => {
    const fleet = new Fleet(1);
    await fleet.learn('five', 4.9);
    fleet.add(...Array(20).fill('five'));
    expect(fleet.threads[0]!.shipped[0]).toHaveLength(4);
    expect(fleet.threads[0]!.patience.at(-1)).toBe(20);
  });

  test('in a backlog of very short ones chunks are no larger', async () => {
    const fleet = new Fleet(1);
    await fleet.learn('quick', 0.25);
    fleet.add(...Array(100).fill('quick'));
    expect(fleet.threads[0]!.shipped[0]!.length).toBeLessThanOrEqual(20);
  });

  test('there is no backlog while the share of a thread is worth less than 10 ms', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('five', 4.9);
    fleet.add(...Array(4).fill('five'));
    expect(new Set(fleet.threads.flatMap(({ patience }) => patience))).toEqual(new Set([0.5]));
  });

  test('a chunk has a bounded number of items, however quick they are', async () => {
    const fleet = new Fleet(1);
    await fleet.learn('instant', 0.0001);
    fleet.add(...Array(3_000).fill('instant'));
    expect(fleet.threads[0]!.shipped[0]).toHaveLength(512);
  });

  test('long ones travel alone, and none is shipped ahead of its turn', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('long', 50);
    fleet.add(...Array(5).fill('long'));
    expect(fleet.threads.map(({ shipped }) => shipped.map((chunk) => chunk.length))).toEqual([[1], [1]]);
  });

  test('a long one ends the chunk before it, and waits for its turn', async () => {
    const fleet = new Fleet(1);
    await fleet.learn('quick', 0.1);
    await fleet.learn('long', 50);
    const [a, b] = fleet.add('quick', 'quick', 'long', 'quick');
    expect(fleet.threads[0]!.shipped.flat()).toEqual([a, b]);
  });

  test('few items are spread over the threads instead of filling one chunk', async () => {
    const fleet = new Fleet(4);
    await fleet.learn('one', 1);
    fleet.add(...Array(4).fill('one'));
    expect(fleet.threads.map(({ shipped }) => shipped.map((chunk) => chunk.length))).toEqual([[1], [1], [1], [1]]);
  });

  test('a thread takes nothing more once what it has is worth 5 ms', async () => {
    const fleet = new Fleet(1);
    await fleet.learn('one', 1);
    fleet.add(...Array(9).fill('one'));
    expect(fleet.threads[0]!.shipped.flat().length).toBeLessThanOrEqual(6);
    fleet.add(...Array(100).fill('one'));
    expect(fleet.threads[0]!.shipped.flat().length).toBeLessThanOrEqual(40); // in a backlog, 20 ms behind 20 ms
  });

  test('concurrency is shared out evenly, the rest to the first threads', () => {
    expect(new Fleet(3, 7).dispatcher.lanes.map(({ concurrency }) => concurrency)).toEqual([3, 2, 2]);
    expect(new Fleet(2, 2).dispatcher.lanes.map(({ concurrency }) => concurrency)).toEqual([1, 1]);
  });

  test('a thread has as many unknown ones as it runs at once, and they travel together', () => {
    const fleet = new Fleet(2, 6);
    fleet.add(...Array(20).fill('new'));
    expect(chunkSizes(fleet)).toEqual([[3], [3]]);
  });

  test('few are divided so that all threads have as many places left', () => {
    const fleet = new Fleet(2, 8);
    fleet.add('new');
    fleet.add('new', 'new', 'new');
    expect(chunkSizes(fleet)).toEqual([[1, 1], [2]]);
  });

  test('known ones are divided in the same way: none takes the place of another thread', async () => {
    const fleet = new Fleet(2, 40);
    await fleet.learn('one', 1);
    fleet.add(...Array(10).fill('one'));
    expect(chunkSizes(fleet)).toEqual([[5], [5]]);
  });

  test('on a thread with many places even longer ones wait, if one more would start within 5 ms', async () => {
    const fleet = new Fleet(1, 10);
    await fleet.learn('ten', 10);
    fleet.add(...Array(100).fill('ten'));
    expect(chunkSizes(fleet)).toEqual([[10, 5]]);
  });

  test('none waits that takes the thread 5 ms or more, and none of unknown duration', async () => {
    const fleet = new Fleet(1, 10);
    await fleet.learn('long', 50);
    fleet.add(...Array(100).fill('long'));
    expect(chunkSizes(fleet)).toEqual([[10]]);
    const other = new Fleet(1, 10);
    await other.learn('one', 1);
    other.add(...Array(10).fill('one'), 'new', 'one');
    expect(chunkSizes(other)).toEqual([[10]]);
  });

  test('as many executions start at once as the concurrency says, however high it is', () => {
    const fleet = new Fleet(2, 10_000);
    fleet.add(...Array(10_001).fill('new'));
    expect(fleet.threads.map(({ shipped }) => shipped.flat().length)).toEqual([5_000, 5_000]);
    expect(Math.max(...chunkSizes(fleet).flat())).toBe(512);
  });

  test('a delivery that finds no row goes to another worker, and nothing more is read', async () => {
    const fleet = new Fleet(1, 2);
    const { rows } = fleet.dispatcher.slots;
    expect(freeRows(fleet)).toBe(rows);
    expect(fleet.dispatcher.room).toBe(0);
    await pass(300);
    expect([fleet.requeued.length, fleet.dispatcher.size]).toEqual([rows, rows]);
  });

  test('outcomes reach their deliveries', async () => {
    const fleet = new Fleet(1);
    const [a, b] = fleet.add('a', 'b');
    fleet.threads[0]!.begin();
    fleet.threads[0]!.end({ kind: 'interrupted' });
    await settled();
    expect(fleet.ended).toEqual([a]);
    await fleet.threads[0]!.work();
    expect(fleet.ended).toEqual([a, b]);
    expect(fleet.dispatcher.size).toBe(0);
  });
});

test('a progress message reaches its shipment, but not the next one on its row', async () => {
  const fleet = new Fleet(1);
  const [first] = fleet.add('a');
  const [{ row, epoch }] = fleet.threads[0]!.items();
  const shipmentId = shipmentIdOf(row, epoch);
  fleet.dispatcher.receiveProgress(fleet.threads[0]!.lane, { shipmentId, message: 'half' });
  await fleet.threads[0]!.work();
  fleet.add('b');
  expect(fleet.threads[0]!.items()).toMatchObject([{ row }]);
  fleet.dispatcher.receiveProgress(fleet.threads[0]!.lane, { shipmentId, message: 'late' });
  expect(fleet.messages).toEqual([[first, 'half']]);
});

test('the last progress message is taken before the outcome, while the row can still be read', async () => {
  const fleet = new Fleet(1);
  const [name] = fleet.add('a');
  const [thread] = fleet.threads as [FakeThread];
  const [{ row, epoch }] = thread.items();
  thread.begin();
  fleet.dispatcher.slots.end(row, epoch, monotonicMs(), false);
  const batch = new OutcomeCollector();
  batch.add(shipmentIdOf(row, epoch), COMPLETED);
  batch.addMessage({ shipmentId: shipmentIdOf(row, epoch), message: 'done' });
  fleet.dispatcher.receive(thread.lane, batch.take());
  expect([fleet.messages, fleet.left, fleet.ended]).toEqual([[[name, 'done']], [[name, SlotState.finished]], [name]]);
});

describe('room', () => {
  test('there is room for one execution per free place until durations are known', () => {
    const fleet = new Fleet(2, 6);
    expect(fleet.dispatcher.room).toBe(6);
    fleet.add(...Array(6).fill('new'));
    expect(fleet.dispatcher.room).toBe(0);
  });

  test('work is read ahead for 50 ms of what the threads do', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('one', 1);
    expect(fleet.dispatcher.room).toBe(2 + 100);
  });

  test('read-ahead is bounded however quick the tasks are', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('instant', 0.0001);
    expect(fleet.dispatcher.room).toBe(2 + 4_096);
  });

  test('long tasks are not read ahead', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('long', 1_000);
    expect(fleet.dispatcher.room).toBe(2);
  });

  test('a little room is not worth a trip while there is enough to do', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('one', 1);
    fleet.add(...Array(90).fill('one'));
    expect(fleet.dispatcher.room).toBe(0);
  });

  test('without threads there is no room', () => {
    const fleet = new Fleet(1);
    fleet.threads[0]!.die()();
    fleet.dispatcher.detach(fleet.dispatcher.lanes[0]!);
    expect(fleet.dispatcher.room).toBe(0);
  });

  test('an event says when there may be more room', async () => {
    const fleet = new Fleet(1);
    fleet.rooms = 0;
    fleet.add('a');
    await fleet.threads[0]!.work();
    expect(fleet.rooms).toBeGreaterThan(0);
  });

  test('while every thread is stuck nothing is read that would only be requeued', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('mixed', 0.01);
    fleet.add(...Array(80).fill('mixed'));
    for (const thread of fleet.threads) thread.begin();
    await pass(400);
    expect(fleet.requeued).toHaveLength(78);
    expect(fleet.dispatcher.room).toBe(0);
    for (const thread of fleet.threads) await thread.work(400);
    expect(fleet.dispatcher.room).toBeGreaterThan(0);
  });
});

describe('stuck threads', () => {
  test('what waits behind a slow run goes to an idle thread', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('mixed', 0.01);
    const names = fleet.add(...Array(60).fill('mixed'));
    const [stuck, other] = fleet.threads as [FakeThread, FakeThread];
    const slow = stuck.begin()!;
    await other.work(0.01);
    await pass(50);
    await other.work(0.01);
    expect([...fleet.ended].sort()).toEqual(names.filter((name) => name !== slow).sort());
    stuck.end();
    await settled();
    expect(fleet.ended.at(-1)).toBe(slow);
  });

  test('what a body keeps from starting, of those it came with, goes to an idle thread', async () => {
    const fleet = new Fleet(2, 8);
    const names = fleet.add(...Array(8).fill('new'));
    const [stuck, other] = fleet.threads as [FakeThread, FakeThread];
    expect(chunkSizes(fleet)).toEqual([[4], [4]]);
    stuck.isUnresponsive = true;
    const slow = stuck.begin()!;
    await other.work();
    await pass(50);
    await other.work();
    expect([...fleet.ended].sort()).toEqual(names.filter((name) => name !== slow).sort());
    stuck.end();
    await settled();
    expect(fleet.ended.at(-1)).toBe(slow);
  });

  test('what was shipped to wait behind others goes to an idle thread, too', async () => {
    const fleet = new Fleet(2, 20);
    await fleet.learn('ten', 10);
    const names = fleet.add(...Array(30).fill('ten'));
    const [stuck, other] = fleet.threads as [FakeThread, FakeThread];
    expect(stuck.shipped.flat().length).toBeGreaterThan(10);
    stuck.isUnresponsive = true;
    const slow = stuck.begin()!;
    await other.work();
    await pass(50);
    await other.work();
    expect([...fleet.ended].sort()).toEqual(names.filter((name) => name !== slow).sort());
  });

  test('nothing more is shipped to them', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('mixed', 0.01);
    fleet.add(...Array(80).fill('mixed'));
    const [stuck, other] = fleet.threads as [FakeThread, FakeThread];
    stuck.begin();
    await other.work(0.01);
    await pass(50);
    await other.work(0.01);
    const chunks = stuck.shipped.length;
    for (let i = 0; i < 20; i++) {
      fleet.add(...Array(80).fill('mixed'));
      await other.work(0.01);
      await pass(5);
    }
    expect(stuck.shipped.length).toBe(chunks);
    expect(fleet.dispatcher.size).toBe(1);
  });

  test('are not looked for while each thread has one long execution and others wait in the queue', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('long', 50);
    fleet.add(...Array(6).fill('long'));
    for (const thread of fleet.threads) thread.begin();
    const timers = vi.spyOn(globalThis, 'setTimeout');
    await pass(240);
    expect(timers).not.toHaveBeenCalled();
    expect(fleet.requeued).toEqual([]);
    await pass(20); // now all of them have been slow for 250 ms
    expect(fleet.requeued).toHaveLength(4);
  });

  test('are looked for more and more rarely while nothing new is shipped to them', async () => {
    const fleet = new Fleet(1, 4);
    await fleet.learn('long', 50);
    fleet.add('long', 'long');
    fleet.threads[0]!.begin();
    const timers = vi.spyOn(globalThis, 'setTimeout');
    await pass(100);
    const first = timers.mock.calls.length;
    await pass(500);
    expect(first).toBeGreaterThan(3);
    expect(timers.mock.calls.length - first).toBeLessThanOrEqual(12);
  });

  test('are looked at soon after another thread is free, however rarely they were looked at before', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('mixed', 0.01);
    const names = fleet.add(...Array(80).fill('mixed'));
    const [stuck, other] = fleet.threads as [FakeThread, FakeThread];
    const slow = stuck.begin()!;
    other.begin();
    await pass(150);
    const timers = vi.spyOn(globalThis, 'setTimeout');
    while (timers.mock.calls.length === 0) await pass(1); // a look: looks are more than 35 ms apart by now
    await other.work(0.01);
    await pass(6);
    await other.work(0.01);
    expect([...fleet.ended].sort()).toEqual(names.filter((name) => name !== slow).sort());
    expect(fleet.requeued).toEqual([]);
  });

  test('that keep all rows are given more to run once they have skipped some of the rows', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('quick', 0.01);
    const { dispatcher, threads } = fleet;
    const [stuck] = threads as [FakeThread];
    stuck.begin();
    for (let turn = 0; dispatcher.room > 0 && turn < 100; turn++) {
      fleet.add(...Array(512).fill('quick'));
      dispatcher.takeBackUnstarted();
    }
    const { slots } = dispatcher;
    const kept = threads
      .flatMap((thread) => thread.items())
      .filter(({ row }) => slots.state(row) === SlotState.revoked);
    expect(kept.length).toBeGreaterThan(4_000);
    expect(dispatcher.room).toBe(0);
    const { rooms } = fleet;
    for (const { row, epoch } of kept.slice(0, 100)) slots.skip(row, epoch);
    fleet.vacate(kept.slice(0, 100));
    await pass(50);
    expect(fleet.rooms).toBeGreaterThan(rooms);
    expect(dispatcher.room).toBeGreaterThan(0);
  });

  test('their order is kept', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('mixed', 0.01);
    fleet.add(...Array(40).fill('mixed'));
    const [stuck, other] = fleet.threads as [FakeThread, FakeThread];
    const theirs = stuck.shipped.flat();
    stuck.begin();
    await other.work(0.01);
    fleet.ended.length = 0;
    await pass(50);
    await other.work(0.01);
    expect(fleet.ended).toEqual(theirs.slice(1));
  });

  test('are judged at the second look after a time in which the process itself stood still', async () => {
    const fleet = new Fleet(1, 4);
    await fleet.learn('quick', 0.01);
    const names = fleet.add('quick', 'quick', 'quick');
    const [thread] = fleet.threads as [FakeThread];
    thread.begin();
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 10_000);
    vi.advanceTimersToNextTimer();
    expect(fleet.requeued).toEqual([]); // the thread had no time to go on
    vi.advanceTimersToNextTimer();
    expect(fleet.requeued).toEqual(names.slice(1));
  });

  test('when every thread is stuck for 250 ms, what has not started is requeued, each once', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('mixed', 0.01);
    const names = fleet.add(...Array(80).fill('mixed'));
    const running = fleet.threads.map((thread) => thread.begin()!);
    await pass(200);
    expect(fleet.requeued).toEqual([]);
    await pass(200);
    expect([...fleet.requeued].sort()).toEqual(names.filter((name) => !running.includes(name)).sort());
    await pass(1_000);
    expect(fleet.requeued).toHaveLength(78);
    for (const thread of fleet.threads) await thread.work();
    expect([...fleet.ended].sort()).toEqual([...running].sort());
    expect(fleet.dispatcher.size).toBe(0);
  });

  test('what ended before the slow run is taken from the slot table, once', async () => {
    const fleet = new Fleet(1);
    await fleet.learn('mixed', 0.01);
    const names = fleet.add(...Array(20).fill('mixed'));
    const [stuck] = fleet.threads as [FakeThread];
    for (let i = 0; i < 5; i++) {
      stuck.begin();
      stuck.endUnreported();
    }
    stuck.begin();
    expect(fleet.ended).toEqual([]);
    await pass(50);
    expect(fleet.ended).toEqual(names.slice(0, 5));
    const more = fleet.add(...Array(20).fill('mixed')); // their rows are not yet to be used again
    await stuck.work(0.01);
    expect(fleet.ended.sort()).toEqual([...names, ...more].sort());
    expect(fleet.dispatcher.size).toBe(0);
  });

  test('long runs with nothing behind them are left alone', async () => {
    const fleet = new Fleet(2);
    fleet.add('long', 'long');
    for (const thread of fleet.threads) thread.begin();
    await pass(10_000);
    expect(fleet.requeued).toEqual([]);
    expect(fleet.dispatcher.size).toBe(2);
  });

  test('with nothing waiting no timer runs', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('mixed', 0.01);
    fleet.add(...Array(40).fill('mixed'));
    for (const thread of fleet.threads) await thread.work(0.01);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a thread that dies', () => {
  test('loses what it ran; what it had not started runs elsewhere, in order', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('quick', 0.01);
    fleet.add(...Array(40).fill('quick'));
    const [dying, other] = fleet.threads as [FakeThread, FakeThread];
    const [ran, ...waiting] = dying.shipped.flat();
    expect(dying.begin()).toBe(ran);
    await other.work(0.01);
    fleet.ended.length = 0;
    dying.die()();
    await settled();
    fleet.dispatcher.detach(fleet.dispatcher.lanes[0]!);
    await other.work(0.01);
    expect(fleet.lost).toEqual([ran]);
    expect(fleet.ended).toEqual(waiting);
    expect(fleet.dispatcher.size).toBe(0);
  });

  test('is given work again when it was replaced', async () => {
    const fleet = new Fleet(1);
    const [first, second] = fleet.add('a', 'b');
    fleet.threads[0]!.begin();
    fleet.threads[0]!.die()();
    fleet.dispatcher.detach(fleet.dispatcher.lanes[0]!);
    expect(fleet.lost).toEqual([first]);
    fleet.replace(0);
    await fleet.threads[0]!.work();
    expect(fleet.ended).toEqual([second]);
  });
});

describe('a suspect', () => {
  test('has a thread of its own, which is ended after it; there is one at a time, and nothing waits for it', async () => {
    const fleet = new Fleet(1, 4);
    const [thread] = fleet.threads as [FakeThread];
    const [running] = fleet.add('long');
    thread.begin();
    const [suspect, second] = [fleet.delivery('bad', 3), fleet.delivery('bad', 4)];
    fleet.dispatcher.add([suspect, second]);
    expect(fleet.turnedAway).toEqual([second.record]);
    const own = fleet.startSuspectThread();
    expect(own.shipped).toEqual([[suspect.record]]);
    const others = fleet.add('new', 'new', 'new');
    expect(thread.shipped.flat()).toEqual([running, ...others.slice(0, 2)]); // with the suspect four run at once
    await own.work();
    expect(fleet.ended).toEqual([suspect.record]);
    expect(thread.shipped.flat()).toEqual([running, ...others]);
    expect(fleet.spent).toEqual([own]);
    await thread.work();
    fleet.dispatcher.add([second]);
    expect(fleet.needed).toEqual([]); // not beside the one that is leaving
    fleet.endSuspectThread();
    const next = fleet.startSuspectThread();
    await settled();
    await next.work();
    expect(fleet.ended).toEqual([suspect.record, running, ...others, second.record]);
    expect(fleet.dispatcher.size).toBe(0);
  });

  test('waits for a fresh thread when it comes just as the one before it ends', async () => {
    const fleet = new Fleet(1, 4);
    const [first, second] = [fleet.delivery('bad', 3), fleet.delivery('bad', 3)];
    fleet.dispatcher.add([first]);
    const own = fleet.startSuspectThread();
    await settled();
    fleet.onEnded = () => fleet.dispatcher.add([second]);
    await own.work();
    expect([fleet.ended, own.shipped, fleet.spent]).toEqual([[first.record], [[first.record]], [own]]);
    fleet.onEnded = () => {};
    fleet.endSuspectThread();
    const fresh = fleet.startSuspectThread();
    await settled();
    expect(fresh.shipped).toEqual([[second.record]]);
  });

  test('goes back when there is no place for it soon', async () => {
    const fleet = new Fleet(1);
    fleet.add('long');
    fleet.threads[0]!.begin();
    const suspect = fleet.delivery('bad', 3);
    fleet.dispatcher.add([suspect]);
    expect(fleet.turnedAway).toEqual([]);
    await pass(300);
    expect(fleet.turnedAway).toEqual([suspect.record]);
    expect([fleet.needed, fleet.dispatcher.size]).toEqual([[], 1]);
  });

  test('goes back when its thread does not start, or fails to', async () => {
    const fleet = new Fleet(1);
    const [late, failed] = [fleet.delivery('bad', 3), fleet.delivery('bad', 3)];
    fleet.dispatcher.add([late]);
    await pass(10_100);
    expect(fleet.turnedAway).toEqual([late.record]);
    fleet.dispatcher.add([failed]);
    expect(fleet.needed).toHaveLength(1); // it still starts
    fleet.dispatcher.suspectThreadFailed();
    expect(fleet.turnedAway).toEqual([late.record, failed.record]);
    fleet.dispatcher.add([fleet.delivery('bad', 3)]);
    expect(fleet.needed).toHaveLength(2);
  });

  test('leaves its thread unused when it is gone before the thread has started', () => {
    const fleet = new Fleet(1);
    const suspect = fleet.delivery('bad', 3);
    fleet.dispatcher.add([suspect]);
    fleet.dispatcher.takeBackUnstarted();
    const own = fleet.startSuspectThread();
    expect(fleet.spent).toEqual([own]);
    expect(own.shipped).toEqual([]);
  });

  test('takes the only place while it runs: deliveries that wait for the place go to another worker', async () => {
    const fleet = new Fleet(1);
    fleet.dispatcher.add([fleet.delivery('bad', 3)]);
    const own = fleet.startSuspectThread();
    await settled();
    own.begin();
    const [waits] = fleet.add('new');
    expect([fleet.threads[0]!.shipped, fleet.dispatcher.room]).toEqual([[], 0]);
    await pass(300);
    expect(fleet.requeued).toEqual([waits]);
  });

  test('goes back when its thread died before it began', async () => {
    const fleet = new Fleet(1);
    const [suspect, next] = [fleet.delivery('bad', 3), fleet.delivery('bad', 3)];
    fleet.dispatcher.add([suspect]);
    fleet.startSuspectThread();
    await settled();
    fleet.endSuspectThread();
    await settled();
    fleet.dispatcher.add([next]);
    fleet.startSuspectThread();
    fleet.endSuspectThread();
    expect([fleet.turnedAway, fleet.lost]).toEqual([[suspect.record, next.record], []]);
  });

  test('runs on the only thread there is with `threads: 0`', async () => {
    const fleet = new Fleet(0, 2);
    const suspect = fleet.delivery('bad', 3);
    fleet.dispatcher.add([suspect]);
    await settled();
    expect(fleet.threads[0]!.shipped).toEqual([[suspect.record]]);
    await fleet.threads[0]!.work();
    expect([fleet.dispatcher.size, fleet.marked.size]).toEqual([0, 0]);
  });
});

describe('a suspect that is alone in its process', () => {
  /** A fleet in which a suspect runs, marked, and nothing else. */
  async function alone(deliveries = 3, threads = 1, concurrency = 4) {
    const fleet = new Fleet(threads, concurrency);
    const suspect = fleet.delivery('bad', deliveries);
    fleet.dispatcher.add([suspect]);
    const own = threads > 0 ? fleet.startSuspectThread() : fleet.threads[0]!;
    await settled();
    own.begin();
    return { fleet, suspect, own, thread: fleet.threads[0]! };
  }

  test('is marked before it is sent to its thread', async () => {
    const fleet = new Fleet(1, 4);
    const answer = deferred<boolean>();
    fleet.mark = () => answer.promise;
    const suspect = fleet.delivery('bad', 3);
    fleet.dispatcher.add([suspect]);
    const own = fleet.startSuspectThread();
    const [other] = fleet.add('new');
    await settled();
    expect([own.shipped, fleet.threads[0]!.shipped]).toEqual([[], []]); // the other one must not start now
    answer.resolve(true);
    await settled();
    expect(own.shipped).toEqual([[suspect.record]]);
    await settled();
    expect(fleet.threads[0]!.shipped).toEqual([[other]]); // and then it may
  });

  test('is not marked beside what runs: it starts at once', async () => {
    const fleet = new Fleet(1, 4);
    fleet.add('new');
    const suspect = fleet.delivery('bad', 3);
    fleet.dispatcher.add([suspect]);
    expect(fleet.startSuspectThread().shipped).toEqual([[suspect.record]]);
    await settled();
    expect(fleet.marked.size).toBe(0);
  });

  test.each([1, 0])('has lost its mark when another execution starts, with %i threads', async (threads) => {
    const { fleet, suspect, thread } = await alone(3, threads);
    expect([...fleet.marked]).toEqual([suspect.record]);
    const answer = deferred();
    fleet.unmark = () => answer.promise;
    const [other] = fleet.add('new');
    await settled();
    expect(thread.shipped.flat()).not.toContain(other);
    answer.resolve();
    await settled();
    expect(thread.shipped.flat()).toContain(other);
    expect(fleet.marked.size).toBe(0);
  });

  test('has lost its mark after its end, before another execution starts, however often Redis fails', async () => {
    const { fleet, own, thread } = await alone();
    let failures = 3;
    fleet.unmark = async () => {
      if (failures-- > 0) throw new Error('no link');
    };
    own.end();
    await settled();
    const [other] = fleet.add('new');
    expect([thread.shipped, fleet.marked.size]).toEqual([[], 1]);
    await pass(1_000);
    expect([thread.shipped, fleet.marked.size]).toEqual([[[other]], 0]);
  });

  test('is given back when it cannot be marked', async () => {
    const fleet = new Fleet(1, 4);
    for (const mark of [async () => false, () => Promise.reject(new Error('no link'))]) {
      fleet.mark = mark;
      const suspect = fleet.delivery('bad', 3);
      fleet.dispatcher.add([suspect]);
      fleet.startSuspectThread();
      await settled();
      expect(fleet.turnedAway.at(-1)).toBe(suspect.record);
      fleet.endSuspectThread();
    }
    expect([fleet.dispatcher.size, fleet.marked.size]).toEqual([0, 0]);
  });

  test('loses its mark when the worker stops', async () => {
    const { fleet } = await alone();
    fleet.dispatcher.close();
    await settled();
    expect(fleet.marked.size).toBe(0);
  });
});

describe('a suspect that lost its process again and again', () => {
  test('does not start beside others: it goes where it can be alone', async () => {
    const fleet = new Fleet(1, 4);
    fleet.add('long');
    fleet.threads[0]!.begin();
    const suspect = fleet.delivery('bad', 6);
    fleet.dispatcher.add([suspect]);
    const own = fleet.startSuspectThread();
    const [other] = fleet.add('new'); // waits a moment, since what runs may end
    expect(fleet.threads[0]!.shipped.flat()).not.toContain(other);
    await pass(300);
    expect([fleet.rerouted, own.shipped]).toEqual([[suspect.record], []]);
    expect(fleet.threads[0]!.shipped.flat()).toContain(other);
  });

  test('starts alone when what runs ends soon, and nothing starts beside it for a while', async () => {
    const fleet = new Fleet(1, 4);
    fleet.add('short');
    const suspect = fleet.delivery('bad', 7);
    fleet.dispatcher.add([suspect]);
    const own = fleet.startSuspectThread();
    const [early] = fleet.add('new');
    await fleet.threads[0]!.work();
    expect(own.shipped).toEqual([[suspect.record]]);
    own.begin();
    expect([fleet.requeued, fleet.dispatcher.room]).toEqual([[early], 0]);
    const [inFlight] = fleet.add('new'); // it was being claimed
    expect(fleet.requeued).toEqual([early, inFlight]);
    const before = fleet.rooms;
    await pass(1_990);
    expect([fleet.dispatcher.room, fleet.marked.size]).toEqual([0, 1]);
    await pass(20);
    expect(fleet.rooms).toBeGreaterThan(before);
    expect(fleet.dispatcher.room).toBeGreaterThan(0);
    const [late] = fleet.add('new');
    await settled();
    expect(fleet.threads[0]!.shipped.flat()).toContain(late);
    expect(fleet.marked.size).toBe(0);
  });

  test('starts beside others in the end when no worker could have it alone', async () => {
    const fleet = new Fleet(1, 4);
    fleet.add('long');
    const suspect = fleet.delivery('bad', 6, 10);
    fleet.dispatcher.add([suspect]);
    expect(fleet.startSuspectThread().shipped).toEqual([[suspect.record]]);
  });
});

test('an execution that is alone on its thread is to blame only if nothing else has run there', async () => {
  const fleet = new Fleet(1, 2);
  const die = () => {
    fleet.threads[0]!.begin();
    fleet.threads[0]!.die()();
    fleet.dispatcher.detach(fleet.dispatcher.lanes[0]!);
    fleet.replace(0);
  };
  fleet.add('first');
  die();
  fleet.add('earlier');
  await fleet.threads[0]!.work();
  fleet.add('second'); // a timer of the one before may be what ended the thread
  die();
  expect(fleet.lostAlone).toEqual([true, false]);
});

test('an execution that ends is to blame for its thread, too, when its result never arrives', () => {
  const fleet = new Fleet(1, 2);
  const [name] = fleet.add('a');
  const [thread] = fleet.threads as [FakeThread];
  const [{ row, epoch }] = thread.items();
  thread.begin();
  fleet.dispatcher.slots.end(row, epoch, monotonicMs(), false);
  thread.die()();
  fleet.dispatcher.detach(thread.lane);
  expect([fleet.lost, fleet.lostAlone, fleet.ended]).toEqual([[name], [true], []]);
});

describe('stopping', () => {
  test('takes back what has not started, from the queue and from the threads, in the order in which it came', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('quick', 0.01);
    const names = fleet.add(...Array(80).fill('quick'));
    const running = fleet.threads.map((thread) => thread.begin()!);
    const taken = fleet.dispatcher.takeBackUnstarted().map(({ record }) => record!);
    expect(taken).toEqual(names.filter((name) => !running.includes(name)));
    expect(fleet.dispatcher.size).toBe(2);
    for (const thread of fleet.threads) await thread.work();
    expect([...fleet.ended].sort()).toEqual([...running].sort());
  });

  test('deliveries that are added to a closed dispatcher are requeued, and no timer runs', async () => {
    const fleet = new Fleet(1, 3);
    fleet.add('a', 'b');
    fleet.threads[0]!.begin();
    expect(vi.getTimerCount()).toBe(1); // it looks for stuck lanes
    fleet.dispatcher.close();
    expect(vi.getTimerCount()).toBe(0);
    const names = fleet.add('late', 'later');
    fleet.dispatcher.add([fleet.delivery('suspect', 3)]);
    expect(fleet.requeued).toEqual([...names, expect.stringContaining('suspect')]);
    expect([fleet.dispatcher.size, vi.getTimerCount()]).toEqual([1, 0]);
  });

  test('waitUntilEmpty waits for what runs, and no longer than its timeout', async () => {
    const fleet = new Fleet(1);
    fleet.add('a');
    fleet.threads[0]!.begin();
    let isEmpty = false;
    const waiting = fleet.dispatcher.waitUntilEmpty(1_000).then(() => {
      isEmpty = true;
    });
    await pass(500);
    expect(isEmpty).toBe(false);
    fleet.threads[0]!.end();
    await waiting;
    fleet.add('b');
    fleet.threads[0]!.begin();
    const timedOut = fleet.dispatcher.waitUntilEmpty(1_000);
    await pass(1_000);
    await timedOut;
    await fleet.dispatcher.waitUntilEmpty(0);
    expect(fleet.dispatcher.size).toBe(1);
  });

  test('everything that runs is asked to stop', async () => {
    const fleet = new Fleet(2);
    fleet.add('a', 'b');
    const { slots } = fleet.dispatcher;
    for (const thread of fleet.threads) thread.begin();
    fleet.dispatcher.interruptAll();
    expect(fleet.threads.map(({ attended }) => attended)).toEqual([1, 1]);
    const reasons = [...fleet.occupied].map((row) => slots.stopReason(row, 1));
    expect(reasons).toEqual([StopReason.interrupted, StopReason.interrupted]);
  });
});

describe('lost leases', () => {
  test('what has not started never will, and what runs is asked to stop', async () => {
    const fleet = new Fleet(1);
    await fleet.learn('quick', 0.01);
    const deliveries = ['a', 'b', 'c', 'd'].map(() => fleet.delivery('quick'));
    fleet.dispatcher.add(deliveries);
    const running = fleet.threads[0]!.begin();
    const lost = [deliveries[0]!, deliveries[2]!];
    fleet.dispatcher.loseLeases((delivery) => lost.includes(delivery));
    expect(running).toBe(deliveries[0]!.record);
    expect(fleet.threads[0]!.attended).toBe(1);
    await fleet.threads[0]!.work();
    expect(fleet.ended).toEqual([deliveries[0], deliveries[1], deliveries[3]].map((delivery) => delivery!.record));
    expect(fleet.dispatcher.size).toBe(0);
  });

  test('what still waits in the queue is forgotten', () => {
    const fleet = new Fleet(1);
    const deliveries = [fleet.delivery('new'), fleet.delivery('new')];
    fleet.dispatcher.add(deliveries);
    fleet.dispatcher.loseLeases((delivery) => delivery === deliveries[1]);
    expect([...fleet.dispatcher.deliveries()]).toEqual([deliveries[0]]);
  });
});

test('leases of what waits on a thread are renewed with those of what runs', async () => {
  const fleet = new Fleet(1, 10);
  await fleet.learn('ten', 10);
  const names = fleet.add(...Array(20).fill('ten'));
  expect(fleet.threads[0]!.shipped.flat()).toHaveLength(15);
  fleet.threads[0]!.begin();
  expect([...fleet.dispatcher.deliveries()].map(({ record }) => record).sort()).toEqual([...names].sort());
});

describe('a cancel', () => {
  test('returns what has not started; what runs is asked to stop, and finds the reason', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('quick', 0.01);
    const names = fleet.add(...Array(60).fill('quick'));
    const [waiting, kept] = [fleet.delivery('new'), fleet.delivery('new')];
    fleet.dispatcher.add([waiting, kept]);
    const [running, other] = fleet.threads.map((thread) => thread.begin()!);
    const { row, epoch } = fleet.threads[0]!.items()[0];
    const matches = ({ record }: Delivery) => record !== other && record !== kept.record;
    const taken = fleet.dispatcher.cancel(matches).map(({ record }) => record!);
    const expected = [...names, waiting.record!].filter((name) => name !== running && name !== other);
    expect(taken.sort()).toEqual(expected.sort());
    expect(fleet.dispatcher.slots.stopReason(row, epoch)).toBe(StopReason.cancelled);
    expect(fleet.threads.map(({ attended }) => attended)).toEqual([1, 0]);
    for (const thread of fleet.threads) await thread.work();
    expect([...fleet.ended].sort()).toEqual([running, other, kept.record].sort());
    expect(fleet.dispatcher.size).toBe(0);
  });

  test('keeps those from starting that came with others to a thread with many places', async () => {
    const fleet = new Fleet(1, 10);
    await fleet.learn('ten', 10);
    const names = fleet.add(...Array(15).fill('ten'));
    const thread = fleet.threads[0]!;
    thread.begin();
    const taken = fleet.dispatcher.cancel(({ record }) => record === names[5] || record === names[12]);
    expect(taken.map(({ record }) => record)).toEqual([names[5], names[12]]);
    await thread.work();
    expect(fleet.ended).toEqual(names.filter((_, i) => i !== 5 && i !== 12));
  });

  test('of what is not here changes nothing', () => {
    const fleet = new Fleet(1);
    fleet.add('a', 'b');
    fleet.threads[0]!.begin();
    expect(fleet.dispatcher.cancel(() => false)).toEqual([]);
    expect(fleet.threads[0]!.attended).toBe(0);
    expect(fleet.dispatcher.size).toBe(2);
  });

  test('makes room, and emits an event', () => {
    const fleet = new Fleet(1);
    const [, second] = fleet.add('a', 'b');
    expect(fleet.dispatcher.room).toBe(0);
    fleet.rooms = 0;
    fleet.dispatcher.cancel(({ record }) => record === second);
    fleet.threads[0]!.begin();
    expect(fleet.dispatcher.size).toBe(1);
    expect(fleet.rooms).toBe(1);
  });

  test('that comes after the worker asked for a stop changes nothing, nor does the reverse', () => {
    const fleet = new Fleet(2);
    const [first] = fleet.add('a', 'b');
    for (const thread of fleet.threads) thread.begin();
    fleet.dispatcher.cancel(({ record }) => record === first);
    fleet.dispatcher.interruptAll();
    fleet.dispatcher.cancel(() => true);
    const reasons = fleet.threads.map((thread) => {
      const [{ row, epoch }] = thread.items();
      return fleet.dispatcher.slots.stopReason(row, epoch);
    });
    expect(reasons).toEqual([StopReason.cancelled, StopReason.interrupted]);
  });

  test('does not meet the next execution on the same row', async () => {
    const fleet = new Fleet(1);
    fleet.add('a');
    const [thread] = fleet.threads as [FakeThread];
    const [{ row }] = thread.items();
    thread.begin();
    fleet.dispatcher.cancel(() => true);
    thread.end({ kind: 'cancelled' });
    await settled();
    fleet.add('b');
    const [next] = thread.items();
    expect(next.row).toBe(row);
    expect(fleet.dispatcher.slots.stopReason(row, next.epoch)).toBeNull();
  });

  test.each([
    ['cancelled', (fleet: Fleet, suspect: Delivery) => fleet.dispatcher.cancel((one) => one === suspect)],
    ['lost', (fleet: Fleet, suspect: Delivery) => fleet.dispatcher.loseLeases((one) => one === suspect)],
  ])('a suspect that is %s while a lane lends it a place gives the place back', async (_, remove) => {
    const fleet = new Fleet(1);
    const suspect = fleet.delivery('bad', 3);
    fleet.dispatcher.add([suspect]);
    expect(fleet.dispatcher.lanes[0]!.free).toBe(0);
    remove(fleet, suspect);
    const [next] = fleet.add('new');
    await fleet.threads[0]!.work();
    expect(fleet.ended).toEqual([next]);
    expect(fleet.dispatcher.size).toBe(0);
  });

  test('reaches what a dying thread has not started: it does not run elsewhere', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('quick', 0.01);
    const names = fleet.add(...Array(10).fill('quick'));
    const [dying, other] = fleet.threads as [FakeThread, FakeThread];
    const [cancelled, ...rest] = dying.shipped.flat();
    dying.die()();
    await settled();
    const taken = fleet.dispatcher.cancel(({ record }) => record === cancelled).map(({ record }) => record);
    fleet.dispatcher.detach(fleet.dispatcher.lanes[0]!);
    await other.work(0.01);
    expect(rest.length).toBeGreaterThan(0);
    expect([...fleet.ended].sort()).toEqual(names.filter((name) => name !== cancelled).sort());
    expect([...taken.map((record) => [record, StopReason.cancelled]), ...fleet.condemned]).toEqual([
      [cancelled, StopReason.cancelled],
    ]);
    expect(fleet.dispatcher.size).toBe(0);
  });
});

test('deliveries that a dying thread has not started can be taken back before they are dispatched again', async () => {
  const fleet = new Fleet(2);
  await fleet.learn('quick', 0.01);
  const names = fleet.add(...Array(10).fill('quick'));
  const [dying, other] = fleet.threads as [FakeThread, FakeThread];
  const [struck] = dying.shipped.flat();
  const takeBack = () => fleet.dispatcher.takeBackUnstarted(({ record }) => record === struck);
  dying.die()();
  await settled();
  expect(takeBack()).toEqual([]); // nobody knows yet whether it has started
  let taken: Delivery[] = [];
  fleet.onLostThreadRelieved = () => {
    taken = takeBack();
  };
  fleet.dispatcher.detach(fleet.dispatcher.lanes[0]!);
  expect(taken.map(({ record }) => record)).toEqual([struck]);
  await other.work(0.01);
  expect([...fleet.ended].sort()).toEqual(names.filter((name) => name !== struck).sort());
});

describe('a thread that is ended because of what it runs', () => {
  /** Two runs and one that has not started, on one thread that takes three. */
  function three(): { fleet: Fleet; lane: Lane; names: string[] } {
    const fleet = new Fleet(1, 3);
    const names = fleet.add('a', 'b', 'c');
    const { dispatcher } = fleet;
    for (const { row, epoch } of fleet.threads[0]!.items().slice(0, 2))
      dispatcher.slots.begin(row, epoch, monotonicMs());
    return { fleet, lane: dispatcher.lanes[0]!, names };
  }

  /** Ends the lane's thread because of these, as the enforcer does. */
  function condemn(lane: Lane, reasons: Readonly<Record<string, CondemnReason>>): void {
    lane.beginEnding(monotonicMs());
    for (const shipment of lane.shipments) {
      const reason = reasons[shipment.record!];
      if (reason) shipment.condemned = reason;
    }
    lane.terminate();
  }

  test('ends that, loses what ran beside it, and leaves what had not started to its successor', async () => {
    const { fleet, lane, names } = three();
    condemn(lane, { [names[0]!]: 'timeout' });
    fleet.threads[0]!.die()();
    await settled();
    expect(fleet.dispatcher.detach(lane)).toBe(true);
    expect(fleet.condemned).toEqual([[names[0], 'timeout']]);
    expect([fleet.lost, fleet.lostAlone]).toEqual([[names[1]], [false]]);
    fleet.replace(0);
    await fleet.threads[0]!.work();
    expect(fleet.ended).toEqual([names[2]]);
    expect(fleet.dispatcher.size).toBe(0);
  });

  test('ends what did not stop for the reason it was asked to', async () => {
    const { fleet, lane, names } = three();
    fleet.dispatcher.cancel(({ record }) => record === names[0]);
    const [, second] = fleet.dispatcher.deliveries();
    fleet.dispatcher.loseLeases((delivery) => delivery === second);
    condemn(lane, { [names[0]!]: StopReason.cancelled, [names[1]!]: StopReason.interrupted });
    fleet.threads[0]!.die()();
    await settled();
    fleet.dispatcher.detach(lane);
    expect(new Map(fleet.condemned)).toEqual(
      new Map<string, unknown>([
        [names[0]!, StopReason.cancelled],
        [names[1]!, StopReason.interrupted],
      ]),
    );
    expect(fleet.lost).toEqual([]);
  });

  test('counts the outcome of a run that came before it was gone, and nothing else', async () => {
    const fleet = new Fleet(1);
    const [name] = fleet.add('a');
    const [thread] = fleet.threads as [FakeThread];
    thread.begin();
    condemn(fleet.dispatcher.lanes[0]!, { [name!]: 'timeout' });
    thread.end();
    await settled();
    thread.die()();
    expect(fleet.dispatcher.detach(fleet.dispatcher.lanes[0]!)).toBe(false);
    expect([fleet.ended, fleet.condemned, fleet.lost]).toEqual([[name], [], []]);
  });

  test('takes nothing new until it was replaced; then its lane is like any other', async () => {
    const { fleet, lane, names } = three();
    lane.beginEnding(monotonicMs());
    fleet.dispatcher.redispatch(lane);
    lane.terminate();
    const [next] = fleet.add('d');
    const [old] = fleet.threads as [FakeThread];
    expect(old.shipped.flat()).toHaveLength(3);
    old.die()();
    await settled();
    fleet.dispatcher.detach(lane);
    fleet.replace(0);
    expect(fleet.threads[0]!.shipped.flat()).toEqual([names[2], next]);
    fleet.add('e');
    expect(fleet.threads[0]!.shipped.flat()).toHaveLength(3);
  });
});

describe('a thread that is leaving', () => {
  test('is given nothing when a run that it was ended for reports after all', async () => {
    const fleet = new Fleet(1, 2);
    const [lane] = fleet.dispatcher.lanes as [Lane];
    const [thread] = fleet.threads as [FakeThread];
    const [first] = fleet.add('a');
    thread.begin();
    lane.beginEnding(monotonicMs());
    lane.terminate();
    thread.end();
    const [next] = fleet.add('b');
    await settled();
    expect([fleet.ended, thread.shipped, fleet.dispatcher.room]).toEqual([[first], [[first]], 0]);
    thread.die()();
    fleet.dispatcher.detach(lane);
    fleet.replace(0);
    expect(fleet.threads[0]!.shipped).toEqual([[next]]);
  });

  test('is not relieved however long it takes: what it has not started is taken back when it is gone', async () => {
    const fleet = new Fleet(2);
    await fleet.learn('quick', 0.01);
    fleet.add(...Array(40).fill('quick'));
    const [leaving, other] = fleet.threads as [FakeThread, FakeThread];
    const [unreported, running, ...rest] = leaving.shipped.flat();
    leaving.begin();
    leaving.endUnreported();
    leaving.begin();
    await other.work(0.01);
    fleet.ended.length = 0;
    leaving.die()();
    await settled();
    await pass(1_000);
    expect([fleet.ended, fleet.requeued]).toEqual([[], []]);
    fleet.dispatcher.detach(fleet.dispatcher.lanes[0]!);
    await other.work(0.01);
    expect(fleet.ended).toEqual([unreported, ...rest]);
    expect(fleet.lost).toEqual([running]);
  });
});

test('a thread that dies under its only run is reported as lost alone', () => {
  const fleet = new Fleet(1, 3);
  const [first] = fleet.add('a', 'b');
  fleet.threads[0]!.begin();
  fleet.threads[0]!.die()();
  fleet.dispatcher.detach(fleet.dispatcher.lanes[0]!);
  expect([fleet.lost, fleet.lostAlone]).toEqual([[first], [true]]);
});

test('what a lane that is ending has not started runs elsewhere, in its order', async () => {
  const fleet = new Fleet(2);
  await fleet.learn('quick', 0.01);
  fleet.add(...Array(40).fill('quick'));
  const [leaving, other] = fleet.threads as [FakeThread, FakeThread];
  const [running, ...theirs] = leaving.shipped.flat();
  leaving.begin();
  await other.work(0.01);
  fleet.ended.length = 0;
  fleet.dispatcher.lanes[0]!.beginEnding(monotonicMs());
  fleet.dispatcher.redispatch(fleet.dispatcher.lanes[0]!);
  await other.work(0.01);
  expect(theirs.length).toBeGreaterThan(0);
  expect(fleet.ended).toEqual(theirs);
  expect(leaving.shipped.flat()).toEqual([running, ...theirs]);
  await leaving.work();
  expect(fleet.ended.at(-1)).toBe(running);
  expect(fleet.dispatcher.size).toBe(0);
});

describe.each([1, 2, 3, 4, 5, 6])('whatever happens (seed %i)', (seed) => {
  test('every delivery ends in one way, and rows are neither leaked nor given away twice', async () => {
    const random = randomOf(seed);
    const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)]!;
    const fleet = new Fleet(3, seed % 2 === 0 ? 3 : 7);
    const durations: Record<string, number> = { quick: 0.02, one: 1, long: 30, wild: 0.02 };
    const added: string[] = [];
    const taken: string[] = [];
    const cancelSome = (share: number) => {
      const meant = new Set([...fleet.dispatcher.deliveries()].filter(() => random() < share));
      return fleet.dispatcher.cancel((delivery) => meant.has(delivery)).map(({ record }) => record!);
    };

    const replace = async (index: number) => {
      const tell = fleet.threads[index]!.die();
      if (random() < 0.5) tell();
      await settled();
      if (random() < 0.5) taken.push(...cancelSome(0.5));
      const isKept = index < fleet.dispatcher.lanes.length;
      if (isKept) fleet.dispatcher.detach(fleet.dispatcher.lanes[index]!);
      else fleet.endSuspectThread();
      tell();
      await settled();
      if (isKept) fleet.replace(index);
    };
    /** The thread of the suspect starts when it is needed, and ends when it is not. */
    const tendSuspect = async () => {
      if (fleet.needed.length > 0 && random() < 0.3) fleet.startSuspectThread();
      const index = fleet.threads.indexOf(fleet.spent.pop()!);
      if (index >= 0) await replace(index); // it may have died by itself
    };

    for (let event = 0; event < 4_000; event++) {
      const dice = random();
      await tendSuspect();
      const thread = pick(fleet.threads);
      if (dice < 0.15) {
        const task = pick(Object.keys(durations));
        added.push(...fleet.add(...Array(1 + Math.floor(random() * 30)).fill(task)));
      } else if (dice < 0.85) {
        const name = thread.isRunning ? undefined : thread.begin();
        if (thread.isRunning) {
          const task = (name ?? '').replace(/\d+$/, '');
          const durationMs = task === 'wild' && random() < 0.1 ? 400 : (durations[task] ?? 1);
          if (random() < 0.9) thread.end(random() < 0.9 ? COMPLETED : { kind: 'interrupted' }, durationMs);
        }
      } else if (dice < 0.95) {
        await pass(random() < 0.1 ? 300 : 10);
      } else if (dice < 0.98) {
        await replace(fleet.threads.indexOf(thread));
      } else if (dice < 0.985) {
        taken.push(...fleet.dispatcher.takeBackUnstarted().map(({ record }) => record!));
      } else if (dice < 0.99) {
        taken.push(...cancelSome(0.2));
      } else if (dice < 0.995) {
        const lane = pick(fleet.dispatcher.allLanes);
        if (!lane.ending && lane.isServing) lane.beginEnding(monotonicMs());
        else if (lane.thread && lane.ending && random() < 0.5) fleet.dispatcher.reopen(lane);
        else if (lane.thread && lane.ending) {
          for (const shipment of lane.shipments) if (random() < 0.5) condemnStarted(fleet, shipment);
          lane.terminate();
        }
        fleet.dispatcher.redispatch(lane);
      } else {
        const suspect = fleet.delivery('bad', 3);
        added.push(suspect.record!);
        fleet.dispatcher.add([suspect]);
      }
      await settled();
    }
    for (const lane of fleet.dispatcher.allLanes) {
      if (!lane.thread && !lane.isUnstaffed) await replace(lane.index);
      else if (lane.ending) fleet.dispatcher.reopen(lane);
    }
    for (let turn = 0; fleet.dispatcher.size > 0 && turn < 10_000; turn++) {
      await tendSuspect();
      for (const thread of fleet.threads) {
        if (thread.begin()) thread.end();
        await settled();
      }
    }
    await tendSuspect();
    for (const thread of fleet.threads) thread.begin(); // passes over what was taken back last
    await settled();

    const stopped = fleet.condemned.map(([record]) => record);
    const endings = [...fleet.ended, ...fleet.lost, ...fleet.requeued, ...fleet.turnedAway, ...stopped, ...taken];
    expect(endings.length).toBe(new Set(endings).size);
    expect(endings.sort()).toEqual(added.sort());
    expect(fleet.lost.length).toBeGreaterThan(0);
    expect(fleet.condemned.length).toBeGreaterThan(0);
    expect(fleet.dispatcher.size).toBe(0);
    expect(freeRows(fleet)).toBe(fleet.dispatcher.slots.rows);
  });
});

function condemnStarted({ dispatcher }: Fleet, shipment: Shipment): void {
  if (dispatcher.slots.state(shipment.row) === SlotState.started) shipment.condemned = 'timeout';
}

/** How many executions can be shipped at once to a thread that takes any number: one per free row. */
function freeRows(fleet: Fleet): number {
  const { lanes, slots } = fleet.dispatcher;
  Object.assign(lanes[0]!, { concurrency: 2 * slots.rows });
  const before = fleet.occupied.size;
  fleet.add(...Array(2 * slots.rows).fill('unknown'));
  return fleet.occupied.size - before;
}

function randomOf(seed: number): () => number {
  let state = seed * 7_919;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('an outcome that arrives when its row has another shipment ends nothing', async () => {
  const fleet = new Fleet(1);
  const { dispatcher } = fleet;
  await fleet.learn('noop', 0.01);
  fleet.ended.length = 0;
  const [first] = fleet.add('noop');
  const thread = fleet.threads[0]!;
  const [{ row, epoch }] = thread.items();
  await thread.work();
  expect(fleet.ended).toEqual([first]);

  const [second] = fleet.add('noop');
  expect(thread.items()).toMatchObject([{ row }]); // the same row, shipped anew
  const late = new OutcomeCollector();
  late.add(shipmentIdOf(row, epoch), COMPLETED);
  dispatcher.receive(thread.lane, late.take());
  expect(fleet.ended).toEqual([first]);
  await thread.work();
  expect(fleet.ended).toEqual([first, second]);
});

test('a thread cannot end the executions of another thread, or one that has not begun', async () => {
  const fleet = new Fleet(2);
  const [name] = fleet.add('a');
  const [owner, other] = fleet.threads as [FakeThread, FakeThread];
  const [{ row, epoch }] = owner.items();
  const told = (thread: FakeThread) => {
    const batch = new OutcomeCollector();
    batch.add(shipmentIdOf(row, epoch), COMPLETED);
    batch.addMessage({ shipmentId: shipmentIdOf(row, epoch), message: `of ${thread.lane.index}` });
    fleet.dispatcher.receive(thread.lane, batch.take());
  };
  told(owner);
  owner.begin();
  told(other);
  expect([fleet.ended, fleet.messages, fleet.dispatcher.size]).toEqual([[], [[name, 'of 0']], 1]);
  await owner.work();
  expect(fleet.ended).toEqual([name]);
});

describe('a thread that has run all it may', () => {
  /** How many executions the thread was shipped in all. */
  const countOf = (thread: FakeThread) => thread.shipped.flat().length;

  test('is spent when the last of that has ended, and gets nothing more', async () => {
    const fleet = new Fleet(1, 2, 3);
    const [thread] = fleet.threads;
    const names = fleet.add('new', 'new', 'new', 'new');
    await thread!.work();
    expect(thread!.shipped.flat()).toEqual(names.slice(0, 3));
    expect(fleet.ended).toEqual(names.slice(0, 3));
    expect(fleet.spent).toEqual([thread]);
    expect([fleet.dispatcher.room, fleet.dispatcher.size]).toEqual([0, 1]);
    fleet.dispatcher.detach(fleet.dispatcher.lanes[0]!);
    fleet.replace(0);
    expect(fleet.threads[0]!.shipped.flat()).toEqual([names[3]]);
  });

  test('never has a chunk of more than it may run', async () => {
    const fleet = new Fleet(1, 1, 5);
    await fleet.learn('quick', 0.01);
    fleet.add(...Array(20).fill('quick'));
    expect(fleet.threads[0]!.shipped[0]).toHaveLength(4);
  });

  test('runs another one for each that was taken back from it', async () => {
    const fleet = new Fleet(2, 2, 3);
    await fleet.learn('quick', 0.01);
    const [first] = fleet.threads;
    fleet.add('quick', 'quick', 'quick', 'quick');
    const before = countOf(first!);
    const taken = fleet.dispatcher.takeBackUnstarted(() => true);
    expect(taken).toHaveLength(4);
    expect(fleet.spent).toEqual([]);
    fleet.add('quick', 'quick', 'quick', 'quick');
    expect(countOf(first!)).toBe(2 * before);
  });

  test('is not replaced when the worker stops: it ends with the others', async () => {
    const fleet = new Fleet(1, 1, 1);
    fleet.add('new');
    fleet.dispatcher.close();
    fleet.add('new');
    await fleet.threads[0]!.work();
    expect(fleet.spent).toEqual([]);
  });
});
