/**
 * How long a script keeps the server from everybody else does not depend on the machine alone: each script makes a bounded
 * number of calls for each item. They are counted by the server, with a full batch and with a small one, and compared: the
 * difference is what the items cost.
 */
import { randomUUID } from 'node:crypto';
import { call, Docket } from 'docket';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import type { AdmissionRequest } from '../../src/redis/admission-store.js';
import type { Settlement } from '../../src/redis/delivery-store.js';
import type { Entry } from '../../src/redis/entry.js';
import type { Keys } from '../../src/redis/keys.js';
import { closeConnection, importBuilt, openConnection } from '../support/built.js';
import { describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { admit } = await importBuilt<typeof import('../../src/redis/admission-store.js')>('redis/admission-store.js');
const { acknowledge, claim, ensureGroups, redeliver, settle } =
  await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { discardFailures, groupFailures, listFailureIds, listFailures, retryFailures } =
  await importBuilt<typeof import('../../src/redis/failure-store.js')>('redis/failure-store.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { listFrom, startOf } =
  await importBuilt<typeof import('../../src/redis/listing-store.js')>('redis/listing-store.js');
const { STATES } = await importBuilt<typeof import('../../src/core/states.js')>('core/states.js');
const { recordHistory } =
  await importBuilt<typeof import('../../src/redis/history-store.js')>('redis/history-store.js');
const { DurationCounts } =
  await importBuilt<typeof import('../../src/core/duration-counts.js')>('core/duration-counts.js');
const { BATCH_ITEMS, LIGHT_BATCH_ITEMS } =
  await importBuilt<typeof import('../../src/redis/schema.js')>('redis/schema.js');
const { moveDue } = await importBuilt<typeof import('../../src/redis/schedule-store.js')>('redis/schedule-store.js');
const { addPause, removePauses } =
  await importBuilt<typeof import('../../src/redis/pause-store.js')>('redis/pause-store.js');
const { runScript } = await importBuilt<typeof import('../../src/redis/script.js')>('redis/script.js');
const { identify } = await importBuilt<typeof import('../../src/redis/snapshot-store.js')>('redis/snapshot-store.js');
const { readEntries } = await importBuilt<typeof import('../../src/redis/stream-reader.js')>('redis/stream-reader.js');
const { FIRST_PAGE, findExpired, findLost } =
  await importBuilt<typeof import('../../src/redis/sweep-store.js')>('redis/sweep-store.js');

/** What one script may make in all: about 1 us each, so a few milliseconds at most. */
const CALLS_OF_A_SCRIPT = 1_500;
const FEW = 8;
/** Calls of a full script beside those for its items: some read them in several steps. */
const STEPS = 8;

interface Place {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly tracked: Docket;
  readonly lean: Docket;
  /** Reads what is queued, and claims what has a record. */
  read(count: number): Promise<Entry[]>;
}

/** Prepares `count` items, and returns the one script that handles them. */
type Prepare = (place: Place, count: number) => Promise<() => Promise<unknown>>;

const addCalls = (count: number, options = {}) =>
  Array.from({ length: count }, (_, i) => call('noop', { i }, { key: `k${i}`, ...options }));
const addMany = (docket: Docket, count: number, when?: Date) =>
  docket.addMany(Array.from({ length: count }, (_, i) => call('noop', { i }, when ? { when } : {})));
const later = () => new Date(Date.now() + 3_600_000);

/** Settles executions that run, all in the same way. */
const settleAll =
  (settlementOf: (entry: Entry) => Settlement): Prepare =>
  async (place, count) => {
    await place.tracked.addMany(addCalls(count));
    const entries = await place.read(count);
    return () => settle(place.redis, place.keys, entries.map(settlementOf));
  };

const ended = ({ token, record }: Entry): Settlement => ({
  ...{ kind: 'ended', token, record: record!, ttlMs: 60_000, state: 'completed', result: Buffer.from([1]) },
  ...{ error: null, errorLine: '', endsChainOf: '', message: null },
});

const retried = ({ token, message }: Entry): Settlement => ({
  ...{
    kind: 'moved',
    token,
    to: { delayMs: 60_000 },
    message,
    keepsDue: false,
    deliveries: 0,
    charges: 0,
    reroutes: 0,
  },
  ...{ admissionStage: null, id: '', ttlMs: 60_000, failedWith: 'Error: no' },
});

const paused = ({ token }: Entry): Settlement => ({
  ...{ kind: 'moved', token, to: { lineOf: 'noop', ticket: 1 }, message: null, keepsDue: true, id: '', ttlMs: 60_000 },
  ...{ deliveries: 0, charges: 0, reroutes: 0, admissionStage: null },
});

const NOOP_PAUSED = { task: 'noop', reason: 'test' };

const followed = ({ token, record, message }: Entry): Settlement => ({
  ...{ kind: 'followed', token, record, state: 'completed', due: { delayMs: 60_000 }, message: message!, id: '' },
  ...{ ttlMs: 60_000, errorLine: '', chain: '{}' },
});

const failing = (entry: Entry): Settlement => ({
  ...(ended(entry) as Extract<Settlement, { kind: 'ended' }>),
  state: 'failed',
  failure: {
    ...{ errorName: 'Error', errorLine: 'Error: no', error: Buffer.alloc(1_000) },
    ...{ worker: 'w', thread: 1, startedMs: null },
  },
});

/** Lets executions fail, in a docket that keeps `kept` failures. */
const failAll =
  (kept: number): Prepare =>
  async (place, count) => {
    const bounds = { ttlMs: 60_000, maxCount: kept, maxBytes: 1e9 };
    const fail = async (prefix: string) => {
      const calls = Array.from({ length: count }, (_, i) => call('noop', { i }, { key: `${prefix}${i}` }));
      await place.tracked.addMany(calls);
      const entries = await place.read(count);
      return () => settle(place.redis, place.keys, entries.map(failing), bounds);
    };
    await (await fail('before'))();
    return await fail('k');
  };

async function failureIds(place: Place, count: number): Promise<string[]> {
  await (await failAll(100_000)(place, count / 2))();
  const { found } = await listFailureIds(place.redis, place.keys, ALL_FAILURES, '+');
  expect(found).toHaveLength(count);
  return [...found];
}

const ALL_FAILURES = { task: null, errorName: null, sinceMs: null, untilMs: null, beforeId: null };

const admission = ({ token, record }: Entry, limits: number, max = 100_000): AdmissionRequest => ({
  ...{ record, token, attempt: 1, ticket: 0, id: '', ttlMs: 60_000, admissionStage: 'new', holdsPermits: false },
  hasBooking: false,
  checks: Array.from({ length: limits }, (_, i) => ({ kind: 'permit', key: `limit${i}`, max })),
});

async function listPlace(redis: Redis, keys: Keys, place: 'work' | 'schedule' | 'ended', count: number): Promise<void> {
  const criteria = { task: 'noop', states: STATES, test: null };
  const { found } = await listFrom(redis, keys, startOf(place), criteria, count);
  expect(found).toHaveLength(count);
}

async function makeDue({ redis, keys }: Place): Promise<void> {
  const members = await redis.zrange(keys.schedule, '0', '-1');
  await redis.zadd(keys.schedule, ...members.flatMap((member) => ['1', member]));
}

/** Each script, the most calls it may make for an item, and how many items it takes. */
const SCRIPTS: [name: string, callsPerItem: number, items: number, prepare: Prepare][] = [
  [
    'that adds to the stream',
    1,
    LIGHT_BATCH_ITEMS,
    async ({ lean }, count) =>
      () =>
        addMany(lean, count),
  ],
  [
    'that adds with a record',
    2,
    BATCH_ITEMS,
    async ({ tracked }, count) =>
      () =>
        addMany(tracked, count),
  ],
  [
    'that adds under keys',
    3,
    BATCH_ITEMS,
    async ({ tracked }, count) =>
      () =>
        tracked.addMany(addCalls(count)),
  ],
  [
    'that schedules under keys',
    3,
    BATCH_ITEMS,
    async ({ tracked }, count) =>
      () =>
        tracked.addMany(addCalls(count, { when: later() })),
  ],
  [
    'that claims',
    2,
    LIGHT_BATCH_ITEMS,
    async ({ redis, keys, tracked, read }, count) => {
      await tracked.addMany(addCalls(count));
      const entries = await read(count);
      const claims = entries.map(({ token, record }) => ({ token, key: record!, attempt: 1 }));
      return () => claim(redis, keys, 'w', claims);
    },
  ],
  [
    'that admits under three limits',
    4,
    BATCH_ITEMS,
    async ({ redis, keys, tracked, read }, count) => {
      await tracked.addMany(addCalls(count));
      const requests = (await read(count)).map((entry) => admission(entry, 3));
      return () => admit(redis, keys, { worker: 'w', consumer: 'w' }, requests);
    },
  ],
  [
    'that acknowledges',
    0,
    LIGHT_BATCH_ITEMS,
    async ({ redis, keys, lean, read }, count) => {
      await addMany(lean, count);
      const tokens = (await read(count)).map(({ token }) => token);
      return () => acknowledge(redis, keys, tokens);
    },
  ],
  ['that ends executions', 2, LIGHT_BATCH_ITEMS, settleAll(ended)],
  [
    'that ends executions and wakes as many',
    11,
    BATCH_ITEMS,
    async ({ redis, keys, tracked, read }, count) => {
      await tracked.addMany(addCalls(2 * count));
      const entries = await read(2 * count);
      const admitAll = (some: readonly Entry[]) =>
        admit(
          redis,
          keys,
          { worker: 'w', consumer: 'w' },
          some.map((entry) => admission(entry, 1, count)),
        );
      const running = entries.slice(0, count);
      expect(await admitAll(running)).toEqual(running.map(() => null));
      expect(await admitAll(entries.slice(count))).toEqual(running.map(() => 'parked'));
      return async () => {
        await settle(redis, keys, running.map(ended));
        expect(await redis.xlen(keys.front)).toBe(count);
      };
    },
  ],
  [
    'that identifies what waits',
    2,
    BATCH_ITEMS,
    async ({ redis, keys, tracked, read }, count) => {
      await tracked.addMany(addCalls(count));
      const tokens = (await read(count)).map(({ token }) => `e${token}`);
      return () => identify(redis, keys, tokens);
    },
  ],
  ['that keeps what failed', 6, BATCH_ITEMS, failAll(100_000)],
  ['that keeps what failed in place of older ones', 8, BATCH_ITEMS, failAll(FEW / 2)],
  [
    'that runs what failed again',
    7,
    BATCH_ITEMS,
    async (place, count) => {
      const ids = await failureIds(place, count);
      return async () => expect(await retryFailures(place.redis, place.keys, ids, '')).toHaveLength(count);
    },
  ],
  [
    'that discards what failed',
    2,
    BATCH_ITEMS,
    async (place, count) => {
      const ids = await failureIds(place, count);
      return () => discardFailures(place.redis, place.keys, ids);
    },
  ],
  [
    'that lists what failed',
    0,
    BATCH_ITEMS,
    async (place, count) => {
      await failureIds(place, count);
      return () => listFailures(place.redis, place.keys, ALL_FAILURES, { from: '+', wanted: count });
    },
  ],
  [
    'that counts what failed',
    0,
    BATCH_ITEMS,
    async (place, count) => {
      await failureIds(place, count);
      return () => groupFailures(place.redis, place.keys, ALL_FAILURES, '+');
    },
  ],
  ['that schedules their next attempts', 7, BATCH_ITEMS, settleAll(retried)],
  ['that schedules their next runs', 8, BATCH_ITEMS, settleAll(followed)],
  [
    'that has them wait for the end of a pause',
    9,
    BATCH_ITEMS,
    async (place, count) => {
      await addPause(place.redis, place.keys, NOOP_PAUSED);
      return await settleAll(paused)(place, count);
    },
  ],
  [
    'that moves what was resumed',
    8,
    BATCH_ITEMS,
    async (place, count) => {
      const { redis, keys } = place;
      await addPause(redis, keys, NOOP_PAUSED);
      await (await settleAll(paused)(place, count))();
      await removePauses(redis, keys, 'noop', null);
      return () => moveDue(redis, keys);
    },
  ],
  [
    'that moves what is due',
    4,
    BATCH_ITEMS,
    async (place, count) => {
      await place.tracked.addMany(addCalls(count, { when: later() }));
      await makeDue(place);
      return () => moveDue(place.redis, place.keys);
    },
  ],
  [
    'that adds to the history',
    3,
    BATCH_ITEMS / 2,
    async ({ redis, keys }, count) => {
      const [waiting, duration] = [new DurationCounts(), new DurationCounts()];
      const tally = { started: 1, succeeded: 1, failed: 0, retried: 0, waiting, duration };
      const tallies = (from: number, to: number) =>
        Array.from({ length: to }, (_, i) => [`t${from + i}`, tally] as const);
      const page = (number: number, from: number, to: number) => {
        return recordHistory(redis, keys, 'w', { number, minute: 1, tallies: tallies(from, to) });
      };
      for (let number = 1; number <= 3; number++) await page(number, number * 1_000, 100); // there is no room for more
      return () => page(4, 0, count);
    },
  ],
  [
    'that looks for leases',
    0,
    BATCH_ITEMS,
    async ({ redis, keys, lean, read }, count) => {
      await addMany(lean, count);
      await read(count);
      return () => findExpired(redis, keys, { stream: 'work', leaseMs: 60_000, from: FIRST_PAGE });
    },
  ],
  [
    'that lists a stream',
    2,
    BATCH_ITEMS,
    async ({ redis, keys, tracked, read }, count) => {
      await tracked.addMany(addCalls(count));
      await read(count);
      return () => listPlace(redis, keys, 'work', count);
    },
  ],
  [
    'that lists the schedule',
    3,
    BATCH_ITEMS,
    async ({ redis, keys, tracked }, count) => {
      await tracked.addMany(addCalls(count, { when: later() }));
      return () => listPlace(redis, keys, 'schedule', count);
    },
  ],
  [
    'that lists what has ended',
    2,
    BATCH_ITEMS,
    async ({ redis, keys, tracked, read }, count) => {
      await tracked.addMany(addCalls(count));
      await settle(redis, keys, (await read(count)).map(ended));
      return () => listPlace(redis, keys, 'ended', count);
    },
  ],
  [
    'that redelivers',
    8,
    BATCH_ITEMS,
    async ({ redis, keys, tracked, read }, count) => {
      await tracked.addMany(addCalls(count));
      const entries = await read(count);
      await claim(
        redis,
        keys,
        'w',
        entries.map(({ token, record }) => ({ token, key: record!, attempt: 1 })),
      );
      const tokens = entries.map(({ token }) => token);
      const isExpired = async () => {
        const { expired } = await findExpired(redis, keys, { stream: 'work', leaseMs: 2, from: FIRST_PAGE });
        return expired.length === Math.min(count, BATCH_ITEMS);
      };
      await waitFor(isExpired);
      return () => redeliver(redis, keys, 1, tokens);
    },
  ],
  [
    'that looks for executions without a place',
    4,
    BATCH_ITEMS,
    async ({ redis, keys, tracked }, count) => {
      await tracked.addMany(addCalls(count));
      return () => findLost(redis, keys, '0');
    },
  ],
  [
    'that clears the schedule',
    7,
    BATCH_ITEMS,
    async ({ redis, keys, tracked }, count) => {
      await tracked.addMany(addCalls(count, { when: later() }));
      const args = [keys.prefix, 1e17, '9999999999999-0', '', BATCH_ITEMS, '', 0];
      return () => runScript(redis, 'clear-parked', [keys.work, keys.front, keys.schedule], args);
    },
  ],
  [
    'that clears a stream',
    5,
    BATCH_ITEMS,
    async ({ redis, keys, tracked }, count) => {
      await tracked.addMany(addCalls(count));
      const args = [keys.prefix, 1e17, '9999999999999-0', 'w', '-', '+', BATCH_ITEMS];
      return () => runScript(redis, 'clear-queued', [keys.work, keys.front, keys.schedule], args);
    },
  ],
];

describeOnRedis('a script', (url) => {
  async function open(): Promise<Place> {
    const redis = await openConnection(url(), 'commands');
    const blocking = await openConnection(url(), 'blocking', { longestBlockMs: 100 });
    const name = `t-${randomUUID()}`;
    const keys = keysOf(name);
    const tracked = new Docket({ name, url: url() });
    const lean = new Docket({ name, url: url(), executionTtl: 0 });
    await ensureGroups(redis, keys);
    onTestFinished(async () => {
      await redis.flushall();
      await Promise.all([tracked.close(), lean.close(), closeConnection(redis), closeConnection(blocking)]);
    });
    return {
      ...{ redis, keys, tracked, lean },
      read: (count) => readEntries(blocking, keys, { consumer: 'w', count, blockMs: 1 }),
    };
  }

  /** Counts the calls of the script that handles `count` items. */
  async function countCalls(prepare: Prepare, count: number): Promise<number> {
    await (await prepare(await open(), FEW))(); // the server learns the script
    const place = await open();
    const run = await prepare(place, count);
    await place.redis.config('RESETSTAT');
    await run();
    const stats = await place.redis.info('commandstats');
    const calls = [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name, times]) => [name, Number(times)]);
    const of = (name: string) => Number(calls.find(([other]) => other === name)?.[1] ?? 0);
    expect(of('evalsha')).toBe(1);
    return calls.reduce((sum, [name, times]) => (name === 'evalsha' ? sum : sum + Number(times)), 0);
  }

  test.each(SCRIPTS)('%s makes at most %i calls for an item', async (_, callsPerItem, items, prepare) => {
    const [few, many] = [await countCalls(prepare, FEW), await countCalls(prepare, items)];
    expect(many - few).toBeLessThanOrEqual(callsPerItem * (items - FEW) + STEPS);
    expect(many).toBeLessThanOrEqual(CALLS_OF_A_SCRIPT);
  });
});
