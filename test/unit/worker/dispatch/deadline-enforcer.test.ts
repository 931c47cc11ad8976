/** The enforcer with a real dispatcher, threads that do what the test says, and a clock that the test moves. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type ChunkItem, decodeChunk, type OutcomeBatch, OutcomeCollector } from '../../../../src/channel/protocol.js';
import { StopReason, shipmentIdOf } from '../../../../src/channel/slots.js';
import { monotonicMs } from '../../../../src/core/clock.js';
import type { Token } from '../../../../src/redis/delivery-store.js';
import type { TaskPolicies } from '../../../../src/tasks/policies.js';
import { encoderFor } from '../../../../src/wire/codec.js';
import { encodeEnvelope } from '../../../../src/wire/envelope.js';
import { type Delivery, deliveryOf } from '../../../../src/worker/delivery.js';
import { DeadlineEnforcer } from '../../../../src/worker/dispatch/deadline-enforcer.js';
import { Dispatcher, type DispatcherEvents } from '../../../../src/worker/dispatch/dispatcher.js';
import type { Lane } from '../../../../src/worker/dispatch/lane.js';
import { IdleThread } from '../../../support/fake-thread.js';
import { stopTime } from '../../../support/fake-time.js';
import { recordingLogger } from '../../../support/logger.js';
import { type Deferred, deferred } from '../../../support/wait.js';
import { NO_PIPELINE } from '../deliveries.js';

const GRACE_MS = 1_000;
const DRAIN_TIMEOUT_MS = 30_000;
/** How often the enforcer checks, and a millisecond. */
const CHECK_MS = 51;

stopTime();

/** A thread that begins and ends what it was sent when the test calls for it, several at once. */
class FakeThread extends IdleThread {
  /** What it was sent and has not ended, by name. */
  readonly items = new Map<string, ChunkItem>();
  readonly #fleet: Fleet;
  readonly #answers: Deferred<OutcomeBatch>[] = [];

  constructor(fleet: Fleet, isEnforceable: boolean) {
    super({ isEnforceable });
    this.#fleet = fleet;
  }

  run(chunk: Uint8Array) {
    for (const item of decodeChunk(chunk)) this.items.set(item.record!, item);
    const answer = deferred<OutcomeBatch>();
    this.#answers.push(answer);
    return answer.promise;
  }

  /** Begins a run, which then has `timeoutMs`. */
  begin(name: string, timeoutMs?: number): void {
    const { slots } = this.#fleet.dispatcher;
    const { row, epoch } = this.items.get(name)!;
    if (!slots.begin(row, epoch, monotonicMs())) throw new Error(`${name} was taken back`);
    if (timeoutMs !== undefined) slots.setDeadline(row, monotonicMs() + timeoutMs);
  }

  /** Moves the deadline of a run to `byMs` from now. */
  extend(name: string, byMs: number): void {
    this.#fleet.dispatcher.slots.setDeadline(this.items.get(name)!.row, monotonicMs() + byMs);
  }

  /** Ends a run that cannot be reported yet. */
  endUnreported(name: string): void {
    const { row, epoch } = this.items.get(name)!;
    this.#fleet.dispatcher.slots.end(row, epoch, monotonicMs(), false);
  }

  end(name: string): void {
    this.endUnreported(name);
    const { row, epoch } = this.items.get(name)!;
    this.items.delete(name);
    const collector = new OutcomeCollector();
    collector.add(shipmentIdOf(row, epoch), { kind: 'completed', result: new Uint8Array(1) });
    this.#fleet.dispatcher.receive(this.#fleet.laneOf(this), collector.take());
  }

  /** It is gone, with all it had. */
  async exit(): Promise<void> {
    for (const answer of this.#answers) answer.reject(new Error('the thread died'));
    for (let i = 0; i < 5; i++) await Promise.resolve();
    this.#fleet.dispatcher.detach(this.#fleet.laneOf(this));
  }
}

class Fleet {
  readonly dispatcher: Dispatcher;
  readonly threads: FakeThread[];
  readonly spent: FakeThread[] = [];
  readonly completed: string[] = [];
  readonly ended: [record: string, reason: 'timeout' | StopReason][] = [];
  readonly lost: [record: string, wasAlone: boolean][] = [];
  readonly lines: ReturnType<typeof recordingLogger>['lines'];
  #count = 0;

  constructor(threads: number, concurrency: number, isEnforceable = true, tasksPerThread?: number) {
    const { logger, lines } = recordingLogger();
    this.lines = lines;
    const events: DispatcherEvents = {
      onOutcome: (delivery) => this.completed.push(delivery.record!),
      onThreadLost: (delivery, wasAlone) => this.lost.push([delivery.record!, wasAlone]),
      onThreadEndedFor: (delivery, reason) => this.ended.push([delivery.record!, reason]),
      onSuspectShipped: () => {},
      onSuspectMustWait: () => {},
      onRequeue: (deliveries) => this.dispatcher.add(deliveries), // nobody else is there
      onLostThreadRelieved: () => {},
      onCapacity: () => {},
      onThreadSpent: (thread) => this.spent.push(thread as FakeThread),
      onThreadOccupied: () => {},
      onThreadNeeded: () => {},
      onSuspectNotAlone: () => {},
      markAlone: async () => true,
      unmarkAlone: async () => {},
      onProgressMessage: () => {},
      onLeavingRow: () => {},
    };
    this.dispatcher = new Dispatcher(threads, concurrency, events, tasksPerThread);
    this.threads = this.dispatcher.lanes.map((lane) => {
      const thread = new FakeThread(this, isEnforceable);
      this.dispatcher.attach(lane, thread);
      return thread;
    });
    const enforcer = new DeadlineEnforcer({
      dispatcher: this.dispatcher,
      abortGraceMs: GRACE_MS,
      drainTimeoutMs: DRAIN_TIMEOUT_MS,
      logger,
    });
    enforcer.start();
    onTestFinished(() => enforcer.stop());
  }

  /** Adds an execution, of a new task unless one is given. It is shipped if a thread is free. */
  add(name: string, task = `task-${this.#count}`, policies: TaskPolicies = { timeoutMs: 1 }): Delivery {
    const message = encodeEnvelope(encoderFor({}, 'args'), task, 0, null, {});
    const token: Token = `w${++this.#count}-0`;
    const counts = {
      deliveries: 0,
      charges: 0,
      reroutes: 0,
      admissionStage: 'new' as const,
      holdsPermits: false,
      hasBooking: false,
    };
    const delivery = deliveryOf({ token, record: name, message, dueMs: 1, ...counts }, () => policies, NO_PIPELINE);
    this.dispatcher.add([delivery]);
    return delivery;
  }

  /** Adds an execution and begins it on the one thread. */
  run(name: string, timeoutMs?: number): Delivery {
    const delivery = this.add(name);
    this.threads[0]!.begin(name, timeoutMs);
    return delivery;
  }

  laneOf(thread: FakeThread): Lane {
    return this.dispatcher.lanes.find((lane) => this.threads[lane.index] === thread)!;
  }

  replace(index: number): FakeThread {
    const thread = new FakeThread(this, true);
    this.threads[index] = thread;
    this.dispatcher.attach(this.dispatcher.lanes[index]!, thread);
    return thread;
  }
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** One thread, and what is on it. */
function oneThread(concurrency: number): { fleet: Fleet; thread: FakeThread; lane: Lane } {
  const fleet = new Fleet(1, concurrency);
  return { fleet, thread: fleet.threads[0]!, lane: fleet.dispatcher.lanes[0]! };
}

test('nothing is checked every 50 ms while no execution has a timeout, until one is asked to stop', async () => {
  const { fleet, thread } = oneThread(4);
  fleet.add('lasting', 'lasting', {});
  thread.begin('lasting');
  await pass(CHECK_MS);
  const looks = vi.spyOn(fleet.dispatcher, 'allLanes', 'get');
  await pass(900);
  expect(looks).not.toHaveBeenCalled();
  fleet.dispatcher.cancel(() => true);
  await pass(GRACE_MS + CHECK_MS);
  expect(thread.isEnded).toBe(true);
});

describe('a run past its timeout, alone on its thread', () => {
  test('has the grace to end by itself; then its thread is ended at once', async () => {
    const { fleet, thread } = oneThread(4);
    fleet.run('slow', 5_000);
    await pass(5_000 + GRACE_MS);
    expect([thread.isEnded, thread.attended]).toEqual([false, 0]);
    await pass(CHECK_MS);
    expect(thread.graces).toEqual([0]);
  });

  test('counts as timed out only when its thread is gone', async () => {
    const { fleet, thread } = oneThread(1);
    fleet.run('slow', 100);
    await pass(100 + GRACE_MS + CHECK_MS);
    expect(thread.isEnded).toBe(true);
    expect(fleet.ended).toEqual([]);
    await thread.exit();
    expect(fleet.ended).toEqual([['slow', 'timeout']]);
    expect(fleet.lost).toEqual([]);
  });

  test('is named in the log', async () => {
    const { fleet } = oneThread(1);
    fleet.run('slow', 100);
    await pass(100 + GRACE_MS + CHECK_MS);
    expect(fleet.lines).toEqual([
      {
        level: 'warn',
        message: 'task-0 did not end at its timeout: its thread is ended',
        fields: { task: 'task-0', key: 'slow', attempt: 1, lane: 0 },
      },
    ]);
  });

  test('has its thread ended once, however long that takes', async () => {
    const { fleet, thread } = oneThread(1);
    fleet.run('slow', 100);
    await pass(100 + GRACE_MS + CHECK_MS);
    await pass(2 * DRAIN_TIMEOUT_MS);
    expect(thread.graces).toEqual([0]);
    expect(fleet.lines).toHaveLength(1);
  });

  test('has more time once it was given more', async () => {
    const { fleet, thread } = oneThread(1);
    fleet.run('slow', 5_000);
    await pass(5_500);
    thread.extend('slow', 5_000);
    await pass(5_000 + GRACE_MS);
    expect(thread.isEnded).toBe(false);
    await pass(CHECK_MS);
    expect(thread.isEnded).toBe(true);
  });

  test('may end by itself within the grace', async () => {
    const { fleet, thread } = oneThread(1);
    fleet.run('slow', 100);
    await pass(100 + GRACE_MS - 1);
    thread.end('slow');
    await pass(DRAIN_TIMEOUT_MS);
    expect(thread.isEnded).toBe(false);
    expect(fleet.completed).toEqual(['slow']);
  });
});

test('a run that reports while its thread is being ended counts, and the thread gets nothing more', async () => {
  const { fleet, thread } = oneThread(1);
  fleet.run('slow', 100);
  await pass(100 + GRACE_MS + CHECK_MS);
  expect(thread.graces).toEqual([0]);
  thread.end('slow');
  fleet.add('next');
  await pass(DRAIN_TIMEOUT_MS);
  expect([fleet.completed, thread.items.size, thread.graces]).toEqual([['slow'], 0, [0]]);
  await thread.exit();
  expect([fleet.ended, fleet.lost]).toEqual([[], []]);
  expect([...fleet.replace(0).items.keys()]).toEqual(['next']);
});

test('a run whose deadline moves in the moment in which its thread is ended counts as timed out', async () => {
  const { fleet, thread } = oneThread(1);
  fleet.run('slow', 100);
  await pass(100 + GRACE_MS - 1);
  vi.spyOn(fleet.dispatcher.slots, 'deadline').mockReturnValueOnce(1).mockReturnValue(0);
  await pass(CHECK_MS);
  expect(thread.graces).toEqual([0]);
  await thread.exit();
  expect(fleet.ended).toEqual([['slow', 'timeout']]);
});

test('a run that has ended in time is not overdue when its outcome comes late', async () => {
  const { fleet, thread, lane } = oneThread(1);
  fleet.run('quick', 100);
  thread.endUnreported('quick');
  await pass(2 * DRAIN_TIMEOUT_MS);
  expect([thread.isEnded, thread.attended, lane.ending]).toEqual([false, 0, null]);
});

test('a run without a timeout that nobody asked to stop is never ended', async () => {
  const { fleet, thread } = oneThread(2);
  fleet.run('endless');
  await pass(2 * DRAIN_TIMEOUT_MS);
  expect([thread.isEnded, thread.attended]).toEqual([false, 0]);
});

test('what runs in the thread of the coordinator itself is never ended', async () => {
  const fleet = new Fleet(1, 2, false);
  const [thread] = fleet.threads;
  fleet.run('slow', 100);
  const asked = fleet.run('asked');
  fleet.dispatcher.cancel((delivery) => delivery === asked);
  await pass(2 * DRAIN_TIMEOUT_MS);
  expect(thread!.isEnded).toBe(false);
  expect(fleet.dispatcher.lanes[0]!.ending).toBeNull();
});

describe('a run that was asked to stop', () => {
  test.each([
    ['because it was cancelled', StopReason.cancelled],
    ['because its lease was lost', StopReason.interrupted],
  ])('%s has the grace to do so; then its thread is ended for that reason', async (_, reason) => {
    const { fleet, thread } = oneThread(1);
    const { token } = fleet.run('stubborn', 3_600_000);
    await pass(5_000);
    if (reason === StopReason.cancelled) fleet.dispatcher.cancel((delivery) => delivery.token === token);
    else fleet.dispatcher.loseLeases((one) => one.token === token);
    await pass(GRACE_MS);
    expect(thread.isEnded).toBe(false);
    await pass(CHECK_MS);
    expect(thread.graces).toEqual([0]);
    expect(fleet.lines).toMatchObject([{ message: 'task-0 did not stop when it was asked to: its thread is ended' }]);
    await thread.exit();
    expect(fleet.ended).toEqual([['stubborn', reason]]);
  });

  test('twice has one grace, and ends for the first reason', async () => {
    const { fleet, thread } = oneThread(1);
    fleet.run('stubborn');
    fleet.dispatcher.cancel(() => true);
    await pass(GRACE_MS - CHECK_MS);
    fleet.dispatcher.interruptAll();
    await pass(2 * CHECK_MS);
    expect(thread.isEnded).toBe(true);
    await thread.exit();
    expect(fleet.ended).toEqual([['stubborn', StopReason.cancelled]]);
  });
});

describe('a run past its timeout beside others', () => {
  test('keeps its thread from taking anything new, and the thread is ended when the others are over', async () => {
    const { fleet, thread } = oneThread(4);
    fleet.run('slow', 100);
    fleet.run('neighbour');
    await pass(100 + GRACE_MS + CHECK_MS);
    expect(thread.isEnded).toBe(false);
    fleet.add('next');
    await pass(10_000);
    expect([...thread.items.keys()]).toEqual(['slow', 'neighbour']);
    expect(thread.isEnded).toBe(false);

    thread.end('neighbour');
    await pass(CHECK_MS);
    expect(fleet.completed).toEqual(['neighbour']);
    expect(thread.graces).toEqual([0]);
    await thread.exit();
    expect(fleet.ended).toEqual([['slow', 'timeout']]);
    expect(fleet.lost).toEqual([]);
    expect([...fleet.replace(0).items.keys()]).toEqual(['next']);
  });

  test('asks its thread to attend, once', async () => {
    const { fleet, thread } = oneThread(4);
    fleet.run('slow', 100);
    fleet.run('neighbour');
    await pass(100 + GRACE_MS + 10_000);
    expect(thread.attended).toBe(1);
  });

  test('leaves the other threads alone: new work goes there', async () => {
    const fleet = new Fleet(2, 4);
    const [slow, other] = fleet.threads as [FakeThread, FakeThread];
    for (const name of ['a', 'b', 'c']) fleet.add(name);
    const [first, ...behind] = [...slow.items.keys()];
    slow.begin(first!, 100);
    for (const name of behind) slow.begin(name);
    await pass(100 + GRACE_MS + CHECK_MS);
    const before = other.items.size;
    fleet.add('next');
    expect(other.items.size).toBe(before + 1);
    expect([slow.isEnded, other.isEnded]).toEqual([false, false]);
  });

  test('ends the thread anyway once the others have had the drain timeout', async () => {
    const { fleet, thread } = oneThread(4);
    fleet.run('slow', 100);
    fleet.run('neighbour');
    await pass(100 + GRACE_MS + DRAIN_TIMEOUT_MS);
    expect(thread.isEnded).toBe(false);
    await pass(2 * CHECK_MS);
    expect(thread.isEnded).toBe(true);
    await thread.exit();
    expect(fleet.ended).toEqual([['slow', 'timeout']]);
    expect(fleet.lost).toEqual([['neighbour', false]]);
  });

  test('ends the thread soon when its event loop is blocked', async () => {
    const { fleet, thread } = oneThread(4);
    fleet.run('slow', 100);
    fleet.run('neighbour');
    thread.isUnresponsive = true;
    await pass(100 + GRACE_MS + CHECK_MS);
    expect(thread.isEnded).toBe(false); // it was only just asked to attend
    await pass(2 * CHECK_MS + 1);
    expect(thread.isEnded).toBe(true);
  });

  test('does not end a thread that attended, if slowly', async () => {
    const { fleet, thread } = oneThread(4);
    fleet.run('slow', 100);
    fleet.run('neighbour');
    thread.isUnresponsive = true;
    await pass(100 + GRACE_MS + CHECK_MS);
    thread.isUnresponsive = false;
    await pass(DRAIN_TIMEOUT_MS - 1_000);
    expect(thread.isEnded).toBe(false);
  });

  test('that ends by itself after all lets its thread take work again', async () => {
    const { fleet, thread, lane } = oneThread(2);
    fleet.run('slow', 100);
    fleet.run('neighbour');
    await pass(100 + GRACE_MS + CHECK_MS);
    fleet.add('next');
    thread.end('slow');
    expect(thread.items.has('next')).toBe(false);
    await pass(2 * CHECK_MS);
    expect(thread.items.has('next')).toBe(true);
    expect(lane.ending).toBeNull();
    thread.end('neighbour');
    await pass(2 * DRAIN_TIMEOUT_MS);
    expect(thread.isEnded).toBe(false);
  });

  test('has its own drain timeout, not what is left of the one before', async () => {
    const { fleet, thread } = oneThread(3);
    fleet.run('neighbour');
    fleet.run('first', 100);
    await pass(DRAIN_TIMEOUT_MS - 1_000);
    thread.end('first');
    await pass(CHECK_MS);
    fleet.run('second', 100);
    await pass(100 + GRACE_MS + DRAIN_TIMEOUT_MS - 1_000);
    expect(thread.isEnded).toBe(false);
    await pass(2_000);
    expect(thread.isEnded).toBe(true);
  });

  test('does not wait for a neighbour that is overdue as well: each ends for its own reason', async () => {
    const { fleet, thread } = oneThread(3);
    fleet.run('slow', 100);
    const stubborn = fleet.run('stubborn');
    fleet.dispatcher.cancel((delivery) => delivery === stubborn);
    await pass(100 + GRACE_MS + CHECK_MS);
    expect(thread.graces).toEqual([0]);
    await thread.exit();
    expect(new Map(fleet.ended)).toEqual(
      new Map<string, unknown>([
        ['slow', 'timeout'],
        ['stubborn', StopReason.cancelled],
      ]),
    );
    expect(fleet.lost).toEqual([]);
  });
});

test('what was shipped to a thread that will be ended, and has not started, runs on another one', async () => {
  const fleet = new Fleet(2, 4);
  const [slow, other] = fleet.threads as [FakeThread, FakeThread];
  fleet.add('known', 'quick');
  slow.begin('known');
  slow.end('known'); // now it is known for quick, and shipped ahead
  fleet.add('slow');
  fleet.add('busy');
  slow.begin('slow', 110);
  for (const name of ['neighbour', 'busy too']) fleet.add(name);
  slow.begin('neighbour');
  for (const name of ['busy', 'busy too']) other.begin(name);
  await pass(110 + GRACE_MS + 35); // between two checks of the enforcer
  slow.end('neighbour'); // so that the thread is not taken for stuck, from which work is moved anyway
  for (const name of ['long', 'a', 'b']) fleet.add(name, name === 'long' ? undefined : 'quick');
  slow.begin('long');
  expect([...slow.items.keys()]).toEqual(['slow', 'long', 'a', 'b']);

  await pass(7);
  for (const name of ['a', 'b']) expect(() => slow.begin(name)).toThrow('was taken back');
  expect(slow.isEnded).toBe(false);
  other.end('busy');
  other.end('busy too');
  expect([...other.items.keys()]).toEqual(['a', 'b']);
  for (const name of ['a', 'b']) other.begin(name);
});

describe('a thread that has run all it may', () => {
  function worn(concurrency: number, tasksPerThread: number) {
    const fleet = new Fleet(1, concurrency, true, tasksPerThread);
    return { fleet, thread: fleet.threads[0]! };
  }

  test('is spent when the last of that has ended', async () => {
    const { fleet, thread } = worn(2, 2);
    for (const name of ['long', 'short']) fleet.run(name);
    fleet.add('next');
    thread.end('short');
    await pass(DRAIN_TIMEOUT_MS - CHECK_MS);
    expect([thread.items.has('next'), fleet.spent]).toEqual([false, []]);
    thread.end('long');
    expect(fleet.spent).toEqual([thread]);
  });

  test('runs as many once more when one of several takes longer than the drain timeout', async () => {
    const { fleet, thread } = worn(2, 2);
    for (const name of ['long', 'short']) fleet.run(name);
    fleet.add('next');
    thread.end('short');
    await pass(DRAIN_TIMEOUT_MS + CHECK_MS);
    expect(thread.items.has('next')).toBe(true);
    thread.end('next');
    thread.end('long');
    expect(fleet.spent).toEqual([]);
  });

  test('never does when it runs one at a time, however long that takes', async () => {
    const { fleet, thread } = worn(1, 1);
    fleet.run('long');
    fleet.add('next');
    await pass(10 * DRAIN_TIMEOUT_MS);
    expect(thread.items.has('next')).toBe(false);
    thread.end('long');
    expect(fleet.spent).toEqual([thread]);
  });
});

test('nothing is checked, and no timer runs, while nothing is on a thread', async () => {
  const { fleet, thread } = oneThread(1);
  await pass(CHECK_MS);
  expect(vi.getTimerCount()).toBe(0);
  fleet.run('short');
  await pass(CHECK_MS);
  expect(vi.getTimerCount()).toBeGreaterThan(0);
  thread.end('short');
  await pass(CHECK_MS);
  expect(vi.getTimerCount()).toBe(0);
});
