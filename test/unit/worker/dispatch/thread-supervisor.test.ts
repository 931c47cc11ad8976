import { expect, test, vi } from 'vitest';
import { decodeChunk } from '../../../../src/channel/protocol.js';
import { monotonicMs } from '../../../../src/core/clock.js';
import { ThreadBootError } from '../../../../src/core/errors.js';
import type { Manifest } from '../../../../src/tasks/manifest.js';
import { encoderFor } from '../../../../src/wire/codec.js';
import { encodeEnvelope } from '../../../../src/wire/envelope.js';
import { type Delivery, deliveryOf } from '../../../../src/worker/delivery.js';
import { Dispatcher, type DispatcherEvents } from '../../../../src/worker/dispatch/dispatcher.js';
import { ThreadSupervisor } from '../../../../src/worker/dispatch/thread-supervisor.js';
import type { Thread } from '../../../../src/worker/threads/thread.js';
import { IdleThread } from '../../../support/fake-thread.js';
import { deferred } from '../../../support/wait.js';
import { NO_PIPELINE } from '../deliveries.js';

const ignore = () => {};
const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
const NOTHING: Manifest = { tasks: [], fallback: null };

function dispatcherOf(threads: number, events: Partial<DispatcherEvents> = {}): Dispatcher {
  return new Dispatcher(threads, threads, {
    onOutcome: ignore,
    onThreadLost: ignore,
    onThreadEndedFor: ignore,
    onSuspectShipped: ignore,
    onSuspectMustWait: ignore,
    onRequeue: ignore,
    onLostThreadRelieved: ignore,
    onCapacity: ignore,
    onThreadSpent: ignore,
    onThreadOccupied: ignore,
    onThreadNeeded: ignore,
    onSuspectNotAlone: () => {},
    markAlone: async () => true,
    unmarkAlone: async () => {},
    onProgressMessage: ignore,
    onLeavingRow: ignore,
    ...events,
  });
}

/** A thread that exits when it is terminated, and keeps the grace it was given. */
class FakeThread extends IdleThread {
  readonly #dispatcher: Dispatcher;

  constructor(dispatcher: Dispatcher, manifest = NOTHING) {
    super({ manifest });
    this.#dispatcher = dispatcher;
  }

  /** Starts what it is sent, and never ends it. */
  run(chunk: Uint8Array) {
    for (const { row, epoch } of decodeChunk(chunk)) this.#dispatcher.slots.begin(row, epoch, monotonicMs());
    return deferred<never>().promise;
  }

  override async terminate(graceMs: number): Promise<void> {
    await super.terminate(graceMs);
    this.gone();
  }
}

/** A thread that cannot be ended before its native call returns. */
class StuckThread extends FakeThread {
  override async terminate(): Promise<void> {
    await this.exited;
  }

  return(): void {
    this.gone();
  }
}

function delivery(): Delivery {
  const message = encodeEnvelope(encoderFor({}, 'args'), 'noop', 0, null, {});
  const counts = {
    deliveries: 0,
    charges: 0,
    reroutes: 0,
    admissionStage: 'new' as const,
    holdsPermits: false,
    hasBooking: false,
  };
  return deliveryOf({ token: 'w1-1', record: null, message, dueMs: 1, ...counts }, () => ({}), NO_PIPELINE);
}

async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

test('threads that exit idle right after each boot break the supervisor, the fifth time in a row', async () => {
  const broken = deferred<Error>();
  const dispatcher = dispatcherOf(1);
  let starts = 0;
  const start = async () => {
    starts += 1;
    const thread = new FakeThread(dispatcher);
    setImmediate(() => void thread.terminate(0));
    return thread;
  };
  const supervisor = new ThreadSupervisor({ dispatcher, logger, start, onBroken: broken.resolve, onManifest: ignore });
  await supervisor.start();
  const error = await broken.promise;
  expect(error).toBeInstanceOf(ThreadBootError);
  expect(error.message).toContain('soon after they have loaded the tasks');
  await supervisor.stop(0);
  expect(starts).toBe(5);
});

test('threads that have run something are replaced for ever, also when they die idle soon after their start', async () => {
  const dispatcher = dispatcherOf(1);
  const threads: (Thread & FakeThread)[] = [];
  const start = async () => {
    const thread = Object.assign(new FakeThread(dispatcher), { hasRun: () => true });
    threads.push(thread);
    return thread;
  };
  const broken = deferred<Error>();
  const supervisor = new ThreadSupervisor({ dispatcher, logger, start, onBroken: broken.resolve, onManifest: ignore });
  await supervisor.start();
  for (let i = 0; i < 10; i++) {
    await threads[i]!.terminate(0);
    await settled();
  }
  expect(threads).toHaveLength(11);
  await supervisor.stop(0);
});

test('a supervisor that has started returns what its threads can run', async () => {
  const dispatcher = dispatcherOf(2);
  const manifest = { tasks: [{ name: 'noop', policies: { timeoutMs: 5 } }], fallback: {} };
  const start = async () => new FakeThread(dispatcher, manifest);
  const supervisor = new ThreadSupervisor({ dispatcher, logger, start, onBroken: ignore, onManifest: ignore });
  expect(await supervisor.start()).toEqual(manifest);
  expect(dispatcher.lanes.every(({ thread }) => thread !== null)).toBe(true);
});

test('a supervisor follows what its threads can run, as they are replaced', async () => {
  const dispatcher = dispatcherOf(2);
  const threads: FakeThread[] = [];
  const tasksOf = (...names: string[]) => names.map((name) => ({ name, policies: {} }));
  let manifest: Manifest = { tasks: tasksOf('old', 'kept'), fallback: null };
  const start = async () => {
    const thread = new FakeThread(dispatcher, manifest);
    threads.push(thread);
    return thread;
  };
  const manifests: string[][] = [];
  const onManifest = ({ tasks }: Manifest) => manifests.push(tasks.map(({ name }) => name));
  const supervisor = new ThreadSupervisor({ dispatcher, logger, start, onBroken: ignore, onManifest });
  await supervisor.start();
  expect(manifests).toEqual([['old', 'kept']]);
  manifest = { tasks: tasksOf('kept', 'new'), fallback: null };
  for (const index of [0, 1]) {
    dispatcher.add([delivery()]); // so that its death is not that of a start
    await threads[index]!.terminate(0);
    await vi.waitUntil(() => threads.length === index + 3);
    await settled();
  }
  expect(manifests).toEqual([
    ['old', 'kept'],
    ['old', 'kept', 'new'],
    ['kept', 'new'],
  ]);
  await supervisor.stop(0);
});

test('a supervisor that stops gives every thread the time to dispose what is shared, and replaces none', async () => {
  const dispatcher = dispatcherOf(2);
  const threads: FakeThread[] = [];
  const start = async () => {
    const thread = new FakeThread(dispatcher);
    threads.push(thread);
    return thread;
  };
  const supervisor = new ThreadSupervisor({ dispatcher, logger, start, onBroken: ignore, onManifest: ignore });
  await supervisor.start();
  await supervisor.stop(1_234);
  expect(threads.map(({ graces }) => graces)).toEqual([[1_234], [1_234]]);
  expect(dispatcher.lanes.map(({ thread }) => thread)).toEqual([null, null]);
});

test('a thread that cannot be ended is abandoned with what it runs, and may exit later', async () => {
  const lost: Delivery[] = [];
  const dispatcher = dispatcherOf(1, { onThreadLost: (one) => void lost.push(one) });
  const thread = new StuckThread(dispatcher);
  const warnings: string[] = [];
  const supervisor = new ThreadSupervisor({
    dispatcher,
    logger: { ...logger, warn: (...args: unknown[]) => void warnings.push(String(args[1])) },
    start: async () => thread,
    onBroken: ignore,
    onManifest: ignore,
  });
  await supervisor.start();
  const running = delivery();
  dispatcher.add([running]);
  await supervisor.stop(0);
  expect(lost).toEqual([running]);
  expect(warnings).toEqual([expect.stringContaining('is abandoned')]);
  thread.return();
  await settled();
  expect([lost.length, warnings.length, dispatcher.size]).toEqual([1, 1, 0]);
});

test('the thread of a suspect is not replaced', async () => {
  const dispatcher = dispatcherOf(1);
  const threads: FakeThread[] = [];
  const start = async () => {
    const thread = new FakeThread(dispatcher);
    threads.push(thread);
    return thread;
  };
  const supervisor = new ThreadSupervisor({ dispatcher, logger, start, onBroken: ignore, onManifest: ignore });
  await supervisor.start();
  const [, own] = dispatcher.allLanes;
  supervisor.startForSuspect(own!);
  await settled();
  expect(own!.thread).toBeNull(); // nothing waits for it, so it is retired at once
  await threads[1]!.terminate(0);
  await settled();
  expect([threads.length, own!.isUnstaffed]).toEqual([2, true]);
  await supervisor.stop(0);
});

test('a thread of a suspect that fails to start does not break the worker', async () => {
  const dispatcher = dispatcherOf(1);
  const failed = vi.spyOn(dispatcher, 'suspectThreadFailed');
  const start = async ({ index }: { index: number }) => {
    if (index === 1) throw new Error('out of memory');
    return new FakeThread(dispatcher);
  };
  const broken = vi.fn();
  const supervisor = new ThreadSupervisor({ dispatcher, logger, start, onBroken: broken, onManifest: ignore });
  await supervisor.start();
  supervisor.startForSuspect(dispatcher.allLanes[1]!);
  await settled();
  expect(failed).toHaveBeenCalledOnce();
  expect(broken).not.toHaveBeenCalled();
  await supervisor.stop(0);
});

test('when one thread fails to load the tasks at the start, none is left behind', async () => {
  const dispatcher = dispatcherOf(2);
  const loaded = new FakeThread(dispatcher);
  const start = async ({ index }: { index: number }) => {
    if (index === 0) throw new Error('a module is missing');
    return loaded;
  };
  const supervisor = new ThreadSupervisor({ dispatcher, logger, start, onBroken: ignore, onManifest: ignore });
  await expect(supervisor.start()).rejects.toThrow('a module is missing');
  expect(loaded.graces).toEqual([0]);
});

test('a thread that is still starting when the supervisor stops is ended as soon as it has started', async () => {
  const dispatcher = dispatcherOf(1);
  const [first, late] = [new FakeThread(dispatcher), new FakeThread(dispatcher)];
  const started = deferred<Thread>();
  const starts = [Promise.resolve<Thread>(first), started.promise];
  const supervisor = new ThreadSupervisor({
    dispatcher,
    logger,
    start: () => starts.shift()!,
    onBroken: ignore,
    onManifest: ignore,
  });
  await supervisor.start();
  dispatcher.add([delivery()]); // so that its death is no failed start, which is tried again later
  await first.terminate(0);
  await settled();
  expect(starts).toHaveLength(0);
  const stopped = supervisor.stop(500);
  started.resolve(late);
  await stopped;
  expect(late.graces).toEqual([0]);
  expect(dispatcher.lanes[0]!.thread).toBeNull();
});

test.each([
  ['was ended because of what it ran', true, 'a worker thread was ended and is replaced'],
  ['died', false, 'a worker thread died and is replaced'],
])('a thread that %s is replaced at once, and the log tells which', async (_, isEnded, text) => {
  const dispatcher = dispatcherOf(1);
  const threads: FakeThread[] = [];
  const lines: string[] = [];
  const start = async () => {
    const thread = new FakeThread(dispatcher);
    threads.push(thread);
    return thread;
  };
  const warn = (...line: unknown[]) => void lines.push(String(line.at(-1)));
  const supervisor = new ThreadSupervisor({
    dispatcher,
    logger: { ...logger, warn },
    start,
    onBroken: ignore,
    onManifest: ignore,
  });
  await supervisor.start();
  const [lane] = dispatcher.lanes;
  dispatcher.add([delivery()]);
  if (isEnded) {
    lane!.beginEnding(monotonicMs());
    lane!.terminate();
  } else await threads[0]!.terminate(0);
  await settled();
  expect(lines).toEqual([text]);
  expect(lane!.thread).toBe(threads[1]);
  await supervisor.stop(0);
});

test('threads that have run all they may have time to dispose, and never count as failed starts', async () => {
  const dispatcher = dispatcherOf(1);
  const threads: FakeThread[] = [];
  const lines: string[] = [];
  const start = async () => {
    const thread = new FakeThread(dispatcher);
    threads.push(thread);
    return thread;
  };
  const info = (...line: unknown[]) => void lines.push(String(line.at(-1)));
  const broken = deferred<Error>();
  const supervisor = new ThreadSupervisor({
    dispatcher,
    logger: { ...logger, info },
    start,
    onBroken: broken.resolve,
    onManifest: ignore,
  });
  await supervisor.start();
  for (let i = 0; i < 10; i++) {
    supervisor.retire(threads[i]!, 700);
    await settled();
  }
  expect(threads).toHaveLength(11);
  expect(threads.slice(0, 10).map(({ graces }) => graces)).toEqual(Array(10).fill([700]));
  expect(lines).toHaveLength(10);
  await supervisor.stop(0);
});
