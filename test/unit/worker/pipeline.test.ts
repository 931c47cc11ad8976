/** The pipeline with its real parts, on connections that deliver one batch of entries and answer nothing else. */
import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { keysOf } from '../../../src/redis/keys.js';
import { ENTRY } from '../../../src/redis/schema.js';
import type { WorkerContext } from '../../../src/worker/context.js';
import { keyOf } from '../../../src/worker/delivery.js';
import { ServerClock } from '../../../src/worker/fleet/server-clock.js';
import { AttemptBudget } from '../../../src/worker/intake/attempt-budget.js';
import { resolveWorkerOptions, type WorkerLogger } from '../../../src/worker/options.js';
import { Pipeline } from '../../../src/worker/pipeline.js';
import { IdleThread } from '../../support/fake-thread.js';
import { recordingLogger } from '../../support/logger.js';
import { deferred } from '../../support/wait.js';
import { messageOf } from './deliveries.js';
import { linkOf } from './links.js';

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
}

/** A pipeline that reads these lean entries. The keys in `struck` are struck. */
function open(entries: readonly Given[], logger: WorkerLogger, struck: readonly string[] = []) {
  const raw = entries.map(({ id, task = 'resize', charges = 0 }, i) => [
    Buffer.from(`${i + 1}-0`),
    [ENTRY.message, messageOf({ task, id, ttlMs: 0 }), ENTRY.charges, String(charges)].map((one) => Buffer.from(one)),
  ]);
  const replies = [Promise.resolve([[Buffer.from(KEYS.work), raw]])];
  const unblocked = deferred<null>();
  const client = { client: async (command: string) => (command === 'UNBLOCK' ? unblocked.resolve(null) : 1) };
  const blocking = Object.assign(new EventEmitter(), client, {
    xreadgroupBuffer: () => replies.shift() ?? unblocked.promise,
  });
  const context: WorkerContext = {
    redis: client as unknown as Redis,
    link: linkOf(),
    blocking: blocking as unknown as Redis,
    subscriber: new EventEmitter() as unknown as Redis,
    keys: KEYS,
    consumer: 'w:1',
    workerName: 'w',
    leaseMs: 100,
    clock: new ServerClock(),
    logger,
    counters: null,
  };
  const pipeline = new Pipeline(context, {
    settings: resolveWorkerOptions({ threads: 0, tasks: {}, concurrency: 10 }),
    attemptBudget: new AttemptBudget(),
    isDraining: () => false,
    retireThread: () => {},
  });
  pipeline.open({ tasks: [{ name: 'resize', policies: {} }], fallback: null });
  vi.spyOn(pipeline.strikeGuard, 'reasonStruck').mockImplementation((delivery) =>
    struck.includes(keyOf(delivery)) ? 'struck: it' : null,
  );
  for (const lane of pipeline.dispatcher.lanes) pipeline.dispatcher.attach(lane, new BusyThread());
  pipeline.intake.start();
  onTestFinished(() => pipeline.intake.stop());
  return { pipeline, dispatched: () => [...pipeline.dispatcher.deliveries()].map(keyOf) };
}

/** A logger on which these levels throw. */
function failingLogger(...levels: ('debug' | 'warn' | 'error')[]) {
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
  expect([...pipeline.held()].map(keyOf)).toEqual(['a', 'c']); // nobody renews the lease of the other
  expect(lines).toMatchObject([{ level: 'error', fields: { token: 'w2-0', error: 'Error: the disk is full' } }]);
});

test('an entry that cannot be rerouted costs the other entries nothing', async () => {
  const { logger, lines } = failingLogger('warn');
  const { pipeline, dispatched } = open([{ id: 'a', task: 'unknown' }, { id: 'b' }], logger);
  await expect.poll(dispatched, SOON).toEqual(['b']);
  await expect.poll(() => lines, SOON).toMatchObject([{ level: 'error', fields: { token: 'w1-0' } }]);
  expect([...pipeline.held()].map(keyOf)).toEqual(['b']);
});

test('a delivery that must not start costs the others nothing, even if no line can be logged', async () => {
  const { logger } = failingLogger('debug', 'warn', 'error');
  const { pipeline, dispatched } = open([{ id: 'a', charges: 5 }, { id: 'b' }], logger);
  await expect.poll(dispatched, SOON).toEqual(['b']);
  expect([...pipeline.held()].map(keyOf)).toEqual(['b']);
});
