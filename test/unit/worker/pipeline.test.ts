/** The pipeline with its real parts, on connections that deliver one batch of entries and answer nothing else. */
import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { claim } from '../../../src/redis/delivery-store.js';
import { keysOf } from '../../../src/redis/keys.js';
import { ENTRY } from '../../../src/redis/schema.js';
import type { WorkerContext } from '../../../src/worker/context.js';
import { keyOf } from '../../../src/worker/delivery.js';
import { ServerClock } from '../../../src/worker/fleet/server-clock.js';
import { AttemptBudget } from '../../../src/worker/intake/attempt-budget.js';
import { resolveWorkerOptions, type WorkerLogger } from '../../../src/worker/options.js';
import { Pipeline } from '../../../src/worker/pipeline.js';
import { SharedParts } from '../../../src/worker/shared-parts.js';
import { IdleThread } from '../../support/fake-thread.js';
import { recordingLogger } from '../../support/logger.js';
import { deferred } from '../../support/wait.js';
import { deliveryWith, messageOf } from './deliveries.js';
import { linkOf } from './links.js';

vi.mock(import('../../../src/redis/delivery-store.js'), async (original) => ({
  ...(await original()),
  claim: vi.fn(),
}));

const KEYS = keysOf('pipeline');
const SOON = { timeout: 2_000 };

/** A thread on which nothing ends. */
class BusyThread extends IdleThread {
  run(): Promise<never> {
    return new Promise(() => {});
  }
}

interface Given {
  readonly id: string;
  readonly task?: string;
  readonly charges?: number;
  /** The key of its record, if it has one. */
  readonly record?: string;
}

/** A pipeline that reads these lean entries. The keys in `struck` are struck. */
function open(entries: readonly Given[], logger: WorkerLogger, struck: readonly string[] = [], leaseMs = 60_000) {
  let lastId = 0;
  const replyWith = (given: readonly Given[]) => {
    const raw = given.map(({ id, task = 'resize', charges = 0, record }) => {
      const fields = [ENTRY.message, messageOf({ task, id, ttlMs: 0 }), ENTRY.charges, String(charges)];
      if (record !== undefined) fields.push(ENTRY.key, record);
      return [Buffer.from(`${++lastId}-0`), fields.map((one) => Buffer.from(one))];
    });
    return [[Buffer.from(KEYS.work), raw]];
  };
  const [second, later] = [deferred<unknown>(), deferred<null>()];
  const replies: Promise<unknown>[] = [Promise.resolve(replyWith(entries)), second.promise];
  const unblock = () => {
    second.resolve(null);
    later.resolve(null);
  };
  const client = {
    status: 'ready',
    client: async (command: string) => (command === 'UNBLOCK' ? unblock() : 1),
    hget: async () => null,
    hgetall: async () => ({}),
  };
  const subscriber = Object.assign(new EventEmitter(), { subscribe: async () => 1 });
  const blocking = Object.assign(new EventEmitter(), client, {
    xreadgroupBuffer: () => replies.shift() ?? later.promise,
  });
  const context: WorkerContext = {
    redis: client as unknown as Redis,
    link: linkOf(),
    blocking: blocking as unknown as Redis,
    subscriber: subscriber as unknown as Redis,
    keys: KEYS,
    streams: { restore: async () => {}, onLost: () => {} },
    tag: '',
    consumer: 'w:1',
    workerName: 'w',
    leaseMs,
    clock: new ServerClock(),
    logger,
    counters: null,
  };
  const settings = resolveWorkerOptions({ threads: 0, tasks: {}, concurrency: 10 });
  const shared = new SharedParts({
    ...{ settings, logger, counters: null, attemptBudget: new AttemptBudget() },
    retireThread: () => {},
    startSuspectThread: () => {},
  });
  const arrivals = { of: async () => '', forget: () => {} };
  const places = { tags: [''], find: async () => null, arrivals, keysElsewhere: async () => new Set<string>() };
  const pipeline = new Pipeline(context, shared, settings, places);
  const { dispatcher } = shared;
  shared.open({ tasks: [{ name: 'resize', policies: {} }], fallback: null });
  vi.spyOn(pipeline.strikeGuard, 'reasonStruck').mockImplementation((delivery) =>
    struck.includes(keyOf(delivery)) ? 'struck: it' : null,
  );
  for (const guard of [pipeline.strikeGuard, pipeline.pauseGuard, pipeline.cancelListener]) {
    vi.spyOn(guard, 'isFollowing', 'get').mockReturnValue(true);
  }
  for (const lane of dispatcher.lanes) dispatcher.attach(lane, new BusyThread());
  pipeline.intake.start();
  onTestFinished(() => pipeline.intake.stop());
  const dispatched = () => [...dispatcher.deliveries()].map(keyOf);
  /** The second read brings these. */
  const deliver = (...given: Given[]) => second.resolve(replyWith(given));
  return { pipeline, dispatcher, dispatched, subscriber, deliver };
}

function inHand(pipeline: Pipeline): string[] {
  return [...pipeline.inHand()].map(({ token }) => token);
}

/** A logger on which these levels throw. */
function failingLogger(...levels: ('debug' | 'warn')[]) {
  const { logger, lines } = recordingLogger('debug');
  const fail = () => {
    throw new Error('the disk is full');
  };
  return { logger: { ...logger, ...Object.fromEntries(levels.map((level) => [level, fail])) }, lines };
}

test('an entry that cannot be handled costs the other entries of its read nothing', async () => {
  const { logger, lines } = failingLogger('debug');
  const { pipeline, dispatched } = open([{ id: 'a' }, { id: 'b' }, { id: 'c' }], logger, ['b']);
  await expect.poll(dispatched, SOON).toEqual(['a', 'c']);
  expect(inHand(pipeline)).toEqual(['w1-0', 'w3-0']); // nobody renews the lease of the other
  expect(lines).toMatchObject([{ level: 'error', fields: { token: 'w2-0', error: 'Error: the disk is full' } }]);
});

test('an entry that cannot be rerouted costs the other entries nothing', async () => {
  const { logger, lines } = failingLogger('warn');
  const { pipeline, dispatched } = open([{ id: 'a', task: 'unknown' }, { id: 'b' }], logger);
  await expect.poll(dispatched, SOON).toEqual(['b']);
  await expect.poll(() => lines, SOON).toMatchObject([{ level: 'error', fields: { token: 'w1-0' } }]);
  expect(inHand(pipeline)).toEqual(['w2-0']);
});

test('a delivery that must not start costs the others nothing', async () => {
  const { logger, lines } = recordingLogger();
  const { pipeline, dispatched } = open([{ id: 'a', charges: 5 }, { id: 'b' }], logger);
  vi.spyOn(pipeline.settler, 'poison').mockImplementation(() => {
    throw new Error('it cannot be settled');
  });
  await expect.poll(dispatched, SOON).toEqual(['b']);
  expect(inHand(pipeline)).toEqual(['w2-0']);
  expect(lines).toMatchObject([{ level: 'error', fields: { token: 'w1-0' } }]);
});

test('entries that are read after the drain has begun are requeued as they were read', async () => {
  const { logger, lines } = recordingLogger();
  const { pipeline, dispatched } = open([{ id: 'a' }, { id: 'b', task: 'unknown' }], logger);
  const requeued: [string, unknown][] = [];
  vi.spyOn(pipeline.settler, 'requeue').mockImplementation((delivery, how) => requeued.push([keyOf(delivery), how]));
  const claim = vi.spyOn(pipeline.claimer, 'claim');
  pipeline.close();
  await expect.poll(() => requeued, SOON).toHaveLength(2);
  expect(requeued).toEqual(['a', 'b'].map((key) => [key, { isAdmitted: false }]));
  expect(claim).not.toHaveBeenCalled();
  expect([dispatched(), lines]).toEqual([[], []]);
});

test('while the guards may have missed something, entries are kept, looked up, and only then started', async () => {
  const { pipeline, dispatched } = open([{ id: 'a' }, { id: 'b' }], recordingLogger().logger);
  const looking = deferred();
  const lookUps = [pipeline.strikeGuard, pipeline.cancelListener].map((guard) => {
    vi.spyOn(guard, 'isFollowing', 'get').mockReturnValue(false);
    return vi
      .spyOn(guard as { lookUp(ids?: readonly string[]): Promise<void> }, 'lookUp')
      .mockReturnValue(looking.promise);
  });
  await expect.poll(() => inHand(pipeline), SOON).toEqual(['w1-0', 'w2-0']); // their leases are renewed
  expect(lookUps[1]).toHaveBeenCalledWith(['a', 'b'], []);
  expect(dispatched()).toEqual([]);
  looking.resolve();
  await expect.poll(dispatched, SOON).toEqual(['a', 'b']);
});

test('entries that could not be looked up before their lease ended are not started', async () => {
  const { logger, lines } = recordingLogger();
  const { pipeline, dispatched } = open([{ id: 'a' }], logger, [], 100);
  vi.spyOn(pipeline.strikeGuard, 'isFollowing', 'get').mockReturnValue(false);
  vi.spyOn(pipeline.strikeGuard, 'lookUp').mockRejectedValue(new Error('NOPERM'));
  vi.spyOn(pipeline.cancelListener, 'lookUp').mockResolvedValue();
  const failures = () => lines.filter(({ level }) => level === 'error');
  await expect.poll(failures, SOON).toMatchObject([{ fields: { count: 1 } }]);
  expect([inHand(pipeline), dispatched()]).toEqual([[], []]);
});

test('a delivery that was struck while its thread was dying does not start on the next one', async () => {
  const struck: string[] = [];
  const { pipeline, dispatcher, dispatched } = open([{ id: 'a' }, { id: 'b' }], recordingLogger().logger, struck);
  await expect.poll(dispatched, SOON).toEqual(['a', 'b']);
  const [lane] = dispatcher.lanes;
  lane!.threadDying(lane!.thread!);
  struck.push('b');
  pipeline.strikeGuard.takeBack();
  expect(dispatched()).toEqual(['a', 'b']); // nobody knows yet what has started
  dispatcher.detach(lane!);
  expect(dispatched()).toEqual(['a']);
});

test('a delivery that was paused while its thread was dying does not start on the next one', async () => {
  const { pipeline, dispatcher, dispatched } = open([{ id: 'a' }], recordingLogger().logger);
  const paused: string[] = [];
  vi.spyOn(pipeline.settler, 'pause').mockImplementation((delivery) => void paused.push(keyOf(delivery)));
  await expect.poll(dispatched, SOON).toEqual(['a']);
  const [lane] = dispatcher.lanes;
  lane!.threadDying(lane!.thread!);
  vi.spyOn(pipeline.pauseGuard, 'size', 'get').mockReturnValue(1);
  vi.spyOn(pipeline.pauseGuard, 'isPaused').mockReturnValue(true);
  pipeline.pauseGuard.takeBack();
  expect([dispatched(), paused]).toEqual([['a'], []]); // nobody knows yet whether it has started
  dispatcher.detach(lane!);
  expect([dispatched(), paused]).toEqual([[], ['a']]);
});

test.each([
  ['its task is paused', false, ['pause a {"isAdmitted":false}', 'pause b {"isAdmitted":false}']],
  ['the docket is paused', true, ['requeue a {"isAdmitted":false}', 'requeue b {"isAdmitted":false}']],
])('what is read while %s is given back as it was read', async (_, isDocketPaused, expected) => {
  const { pipeline, dispatched } = open([{ id: 'a' }, { id: 'b' }], recordingLogger().logger);
  const given: string[] = [];
  vi.spyOn(pipeline.settler, 'pause').mockImplementation((delivery, how) => {
    given.push(`pause ${keyOf(delivery)} ${JSON.stringify(how)}`);
  });
  vi.spyOn(pipeline.settler, 'requeue').mockImplementation((delivery, how) => {
    given.push(`requeue ${keyOf(delivery)} ${JSON.stringify(how)}`);
  });
  vi.spyOn(pipeline.pauseGuard, 'isPaused').mockReturnValue(true);
  vi.spyOn(pipeline.pauseGuard, 'isDocketPaused', 'get').mockReturnValue(isDocketPaused);
  await expect.poll(() => given, SOON).toEqual(expected);
  expect(dispatched()).toEqual([]);
});

test('a suspect that cannot run here soon goes back uncharged, for about a second, so that no worker reads it again at once', () => {
  const { pipeline } = open([], recordingLogger().logger);
  const write = vi.spyOn(pipeline.settler, 'requeue').mockReturnValue();
  const suspect = deliveryWith({ deliveries: 3, charges: 1 });
  pipeline.requeueSuspect(suspect);
  expect(write).toHaveBeenCalledExactlyOnceWith(suspect, { delayMs: expect.any(Number) });
  expect(Math.abs(write.mock.calls[0]![1]!.delayMs! - 1_000)).toBeLessThanOrEqual(200); // spread by a fifth either way
});

test('a suspect that must be alone, and cannot be here soon, goes elsewhere for longer each time', () => {
  const { pipeline } = open([], recordingLogger().logger);
  const reroute = vi.spyOn(pipeline.settler, 'reroute').mockReturnValue();
  for (const reroutes of [0, 1, 2, 9, 10]) pipeline.rerouteSuspect(deliveryWith({ deliveries: 6, reroutes }));
  const delaysMs = reroute.mock.calls.map(([, { delayMs }]) => delayMs);
  expect(delaysMs.map((ms) => 2 ** Math.round(Math.log2(ms / 1_000)))).toEqual([1, 2, 4, 512, 1]); // spread by a fifth either way
});

test('what was on a thread that ended during the drain goes back uncharged, even if it was alone there', () => {
  const { pipeline } = open([], recordingLogger().logger);
  const requeue = vi.spyOn(pipeline.settler, 'requeue').mockReturnValue();
  const redeliver = vi.spyOn(pipeline.settler, 'redeliver').mockReturnValue();
  const delivery = deliveryWith();
  pipeline.settleThreadLost(delivery, true, null);
  expect([requeue.mock.calls, redeliver.mock.calls]).toEqual([[], [[delivery, true, null]]]);
  pipeline.close();
  pipeline.settleThreadLost(delivery, true, null);
  expect([requeue.mock.calls, redeliver.mock.calls.length]).toEqual([[[delivery, { hasStarted: true }]], 1]);
});

test('what is read in the same turn as a pause is given back behind what was read before', async () => {
  const { pipeline, dispatched, subscriber, deliver } = open([{ id: 'a' }, { id: 'b' }], recordingLogger().logger);
  pipeline.pauseGuard.start();
  onTestFinished(() => pipeline.pauseGuard.stop());
  await pipeline.pauseGuard.ready;
  await expect.poll(dispatched, SOON).toEqual(['a', 'b']);
  const requeued: string[] = [];
  vi.spyOn(pipeline.settler, 'requeue').mockImplementation((delivery) => requeued.push(keyOf(delivery)));
  subscriber.emit('message', KEYS.pauseChanges, '0 5 +* deploy');
  deliver({ id: 'c' });
  await expect.poll(() => requeued, SOON).toEqual(['a', 'b', 'c']);
});

test('what is claimed in the same turn as a pause is given back behind what was claimed before', async () => {
  const answer = deferred<Awaited<ReturnType<typeof claim>>>();
  vi.mocked(claim).mockReturnValueOnce(answer.promise);
  const { pipeline, dispatched, subscriber } = open([{ id: 'a' }, { id: 'b', record: 'b' }], recordingLogger().logger);
  pipeline.pauseGuard.start();
  onTestFinished(() => pipeline.pauseGuard.stop());
  await pipeline.pauseGuard.ready;
  await expect.poll(dispatched, SOON).toEqual(['a']);
  const requeued: string[] = [];
  vi.spyOn(pipeline.settler, 'requeue').mockImplementation((delivery) => requeued.push(keyOf(delivery)));
  subscriber.emit('message', KEYS.pauseChanges, '0 5 +* deploy');
  answer.resolve({ refused: [], errors: [] });
  await expect.poll(() => requeued, SOON).toEqual(['a', 'b']);
});
