/**
 * Owning the stream entry is owning the delivery: what each script does for one who no longer does. Driven step by step,
 * with consumers that exist by name only.
 */
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import type { Settlement, Token } from '../../src/redis/delivery-store.js';
import type { Entry } from '../../src/redis/entry.js';
import type { Keys } from '../../src/redis/keys.js';
import { BATCH_BYTES, REROUTED_MEMBERS } from '../../src/redis/schema.js';
import { closeConnection, importBuilt, openConnection } from '../support/built.js';
import { openFleet } from '../support/fleet.js';
import { recordingLogger } from '../support/logger.js';
import { describeEachServer } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { acknowledge, claim, claimRead, ensureGroups, redeliver, renew, settle } =
  await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { heartbeat, leave } = await importBuilt<typeof import('../../src/redis/fleet-store.js')>('redis/fleet-store.js');
const { encoderFor } = await importBuilt<typeof import('../../src/wire/codec.js')>('wire/codec.js');
const { encodeEnvelope, Envelope, withAttempt } =
  await importBuilt<typeof import('../../src/wire/envelope.js')>('wire/envelope.js');
const { beginSweep, FIRST_PAGE, findExpired, forgetDeadConsumers } =
  await importBuilt<typeof import('../../src/redis/sweep-store.js')>('redis/sweep-store.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { readEntries } = await importBuilt<typeof import('../../src/redis/stream-reader.js')>('redis/stream-reader.js');
const { Reclaimer } =
  await importBuilt<typeof import('../../src/worker/fleet/reclaimer.js')>('worker/fleet/reclaimer.js');
const { CommandLink } = await importBuilt<typeof import('../../src/worker/command-link.js')>('worker/command-link.js');
const { ServerClock } =
  await importBuilt<typeof import('../../src/worker/fleet/server-clock.js')>('worker/fleet/server-clock.js');

/** The options of a Reclaimer that sweeps often. */
function optionsOf(redis: Redis) {
  const leaseMs = 100;
  const streams = { restore: async () => {}, onLost: () => {} };
  const link = new CommandLink(redis, leaseMs);
  return { redis, streams, link, leaseMs, clock: new ServerClock(), reconnectionMs: 0 };
}

const FAILURE = {
  errorName: 'Error',
  errorLine: 'late',
  error: Buffer.from([2]),
  worker: 'w',
  thread: 0,
  startedMs: 1,
};

interface Consumers {
  readonly redis: Redis;
  readonly keys: Keys;
  /** Adds executions of the task `noop`. */
  add(keys: readonly string[], options?: { executionTtl?: 0 }): Promise<void>;
  addLean(count: number): Promise<void>;
  read(consumer: string, count?: number): Promise<Entry[]>;
  /** Gives away what is pending, however short its owner was silent; answers with what came of it. */
  passOn(entries: readonly Entry[], to: string): Promise<Entry[]>;
  record(key: string): Promise<Record<string, string>>;
  /** Gives the key to an execution that is due in an hour. */
  replace(key: string): Promise<void>;
}

describeEachServer('a delivery', (url) => {
  async function open(): Promise<Consumers> {
    const fleet = await openFleet(url());
    const { redis } = fleet;
    const keys = keysOf(fleet.name);
    const blocking = await openConnection(url(), 'blocking', { longestBlockMs: 100 });
    onTestFinished(() => closeConnection(blocking));
    await ensureGroups(redis, keys);
    fleet.leavesWork();
    const lean = fleet.with({ executionTtl: 0 });
    const read = (consumer: string, count = 100) => readEntries(blocking, keys, { consumer, count, blockMs: 1 });
    return {
      redis,
      keys,
      read,
      async add(names, options) {
        const docket = options ? fleet.with(options) : fleet.docket;
        for (const key of names) await docket.add('noop', {}, { key });
      },
      async addLean(count) {
        for (let i = 0; i < count; i++) await lean.add('noop');
      },
      async passOn(entries, to) {
        const tokens = entries.map(({ token }) => token);
        let passed = 0; // only what has been pending for a millisecond
        await waitFor(async () => {
          passed += await redeliver(redis, keys, 1, tokens);
          return passed === tokens.length;
        });
        return await read(to);
      },
      async replace(key) {
        await fleet.docket.replace('noop', {}, { key, when: '1h' });
      },
      record: async (key) => (await redis.hgetall(keys.record(key))) as Record<string, string>,
    };
  }

  const completed = (entry: Entry): Settlement => ({
    ...{ kind: 'ended', token: entry.token, record: entry.record!, ttlMs: 60_000, state: 'completed' },
    ...{ result: Buffer.from([1]), error: null, errorLine: '', endsChainOf: '', message: null },
  });
  const failed = (entry: Entry): Settlement => ({
    ...completed(entry),
    ...({ state: 'failed', result: null, error: Buffer.from([2]), errorLine: 'late' } as const),
  });
  const again = (entry: Entry, delayMs = 0): Settlement => ({
    ...{
      kind: 'moved',
      token: entry.token,
      message: entry.message!,
      keepsDue: false,
      admissionStage: null,
      id: 'lean',
    },
    ...{ to: delayMs > 0 ? { delayMs } : { stream: 'work' }, deliveries: 0, charges: 0, reroutes: 0, ttlMs: 60_000 },
  });

  test('is claimed with its read if it needs nothing but a claim, and only by its reader', async () => {
    const { redis, keys, add, addLean, read, record } = await open();
    const claimAfter = async (consumer: string, from = '0-1', tasks = ['noop']) =>
      (await claimRead(redis, keys, { consumer, worker: 'w', from, tasks })).tokens;
    await add(['a', 'b']);
    await addLean(1);
    expect(await claimAfter('me')).toEqual([]); // not read yet
    const [a, b] = await read('me');
    expect(await claimAfter('other')).toEqual([]);
    expect(await claimAfter('me', '0-1', ['resize'])).toEqual([]);
    expect((await record('a')).s).toBe('queued');
    expect(await claimAfter('me', b!.token.slice(1))).toEqual([b!.token]); // not those of earlier reads
    expect(await claimAfter('me')).toEqual([a!.token, b!.token]);
    expect(await record('a')).toMatchObject({ s: 'running', k: 'w' });
    expect((await claim(redis, keys, 'w', [{ key: 'a', token: a!.token, attempt: 1 }])).refused).toEqual([]); // no harm
  });

  test('is not claimed with its read after its key was replaced, it was delivered before, or it is a retry', async () => {
    const { redis, keys, add, read, passOn, replace } = await open();
    const claimAll = async (consumer: string) =>
      (await claimRead(redis, keys, { consumer, worker: 'w', from: '0-1', tasks: ['noop'] })).tokens;
    await add(['replaced']);
    await read('me');
    await replace('replaced');
    await add(['lost']);
    const redelivered = await passOn(await read('other'), 'me');
    expect(redelivered).toHaveLength(1);
    await add(['again']);
    const [first] = await read('me');
    const message = withAttempt(new Envelope(first!.message!), 2);
    await settle(redis, keys, [{ ...again(first!), message } as Settlement]);
    expect(await read('me')).toHaveLength(1);
    expect(await claimAll('me')).toEqual([]);
  });

  test('is claimed with its read however broken the records beside it are', async () => {
    const { redis, keys, add, read } = await open();
    await add(['a', 'b']);
    const [, b] = await read('me');
    await redis.del(keys.record('a'));
    await redis.set(keys.record('a'), 'text');
    const claimed = await claimRead(redis, keys, { consumer: 'me', worker: 'w', from: '0-1', tasks: ['noop'] });
    expect(claimed.tokens).toEqual([b!.token]);
  });

  test.each(['completed', 'failed', 'again', 'followed'] as const)(
    'writes nothing into the execution that has its key, even if it was replaced longer ago than that is kept (%s)',
    async (kind) => {
      const { redis, keys, read, record, replace } = await open();
      const message = encodeEnvelope(encoderFor({}, 'args'), 'noop', 60_000, null, {});
      await redis.xadd(keys.work, '1-1', 'k', 'k', 'm', message); // in 1970
      await redis.hset(keys.record('k'), { s: 'queued', g: '1', e: 'w1-1', t: 'noop' });
      const [entry] = await read('a');
      expect(await claim(redis, keys, 'a', [{ key: 'k', token: entry!.token, attempt: 1 }])).toEqual({
        refused: [],
        errors: [],
      });
      await replace('k');
      await redis.del(keys.superseded); // as it does when nothing was replaced for a week
      const successor = await record('k');
      const followed: Settlement = {
        ...{ kind: 'followed', token: entry!.token, record: 'k', ttlMs: 60_000, state: 'completed' },
        ...{ due: { delayMs: 9 }, message, id: '', errorLine: '', chain: '{}' },
      };
      const settlements = { completed, failed, again, followed: () => followed };
      const settlement = { ...settlements[kind](entry!), ...(kind === 'failed' && { failure: FAILURE }) } as Settlement;
      const { fenced } = await settle(redis, keys, [settlement], { ttlMs: 60_000, maxCount: 9, maxBytes: 99_999 });
      expect(fenced.map(({ token }) => token)).toEqual(['w1-1']);
      expect(await redis.exists(keys.failures)).toBe(0);
      expect(await record('k')).toEqual(successor);
      expect(await redis.xlen(keys.work)).toBe(0);
      expect(await redis.zrange(keys.schedule, '0', '-1')).toEqual(['kk']);
    },
  );

  test.each([{ key: 'k' }, { key: null }])(
    'is rerouted even if its entry is older than a week (%o)',
    async ({ key }) => {
      const { redis, keys, read } = await open();
      const message = encodeEnvelope(
        encoderFor({}, 'args'),
        'nobody has this',
        60_000,
        key === null ? 'lean' : null,
        {},
      );
      await redis.xadd(keys.work, '1-1', ...(key === null ? [] : ['k', key]), 'm', message); // in 1970
      if (key !== null) await redis.hset(keys.record(key), { s: 'queued', g: '1', e: 'w1-1', t: 'nobody has this' });
      const [entry] = await read('a');
      const rerouted = { ...again(entry!, 60_000), reroutes: 1, recalledFor: 'nobody has this' } as Settlement;
      expect(await settle(redis, keys, [rerouted])).toEqual({ fenced: [], errors: [] });
      expect(await redis.zrange(keys.schedule, '0', '-1')).toEqual([key === null ? 'llean' : 'kk']);
      await redis.del(keys.schedule, keys.record('k'), keys.parked('lean'));
    },
  );

  test('is claimed by the one who read it', async () => {
    const { redis, keys, add, read, record } = await open();
    await add(['k']);
    const [entry] = await read('a');
    expect(await claim(redis, keys, 'a', [{ key: 'k', token: entry!.token, attempt: 1 }])).toMatchObject({
      refused: [],
    });
    expect(await record('k')).toMatchObject({ s: 'running', k: 'a', e: entry!.token });
  });

  test('cannot be claimed any more once it was redelivered', async () => {
    const { redis, keys, add, read, passOn, record } = await open();
    await add(['k']);
    const [stale] = await read('a');
    const [fresh] = await passOn([stale!], 'b');
    expect(await claim(redis, keys, 'a', [{ key: 'k', token: stale!.token, attempt: 1 }])).toMatchObject({
      refused: [0],
    });
    expect(await record('k')).toMatchObject({ s: 'queued', e: fresh!.token });
    expect(await claim(redis, keys, 'b', [{ key: 'k', token: fresh!.token, attempt: 1 }])).toMatchObject({
      refused: [],
    });
    expect(await record('k')).toMatchObject({ s: 'running', k: 'b' });
  });

  test('is read by one of those who race for it, and claimed once', async () => {
    const { redis, keys, add, read } = await open();
    const names = Array.from({ length: 60 }, (_, i) => `k${i}`);
    await add(names);
    const [a, b] = [await read('a', 20), await read('b')];
    expect([...a, ...b].map(({ record }) => record)).toEqual(names);
    const claims = (entries: Entry[]) => entries.map(({ record, token }) => ({ key: record!, token, attempt: 1 }));
    expect(await claim(redis, keys, 'a', claims(a))).toMatchObject({ refused: [] });
    expect(await claim(redis, keys, 'b', claims(b))).toMatchObject({ refused: [] });
  });

  test.each([
    ['completes', completed],
    ['fails', failed],
    ['retries at once', (entry: Entry) => again(entry)],
    ['retries later', (entry: Entry) => again(entry, 1_000)],
  ])('that has passed on writes nothing when its first owner %s', async (_, late) => {
    const { redis, keys, add, read, passOn, record } = await open();
    await add(['k']);
    const [stale] = await read('a');
    await claim(redis, keys, 'a', [{ key: 'k', token: stale!.token, attempt: 1 }]);
    const [fresh] = await passOn([stale!], 'b');
    await claim(redis, keys, 'b', [{ key: 'k', token: fresh!.token, attempt: 1 }]);
    const before = await record('k');

    const settlement = late(stale!);
    expect((await settle(redis, keys, [settlement])).fenced).toEqual([settlement]);
    expect(await record('k')).toEqual(before);
    expect(await redis.xlen(keys.work)).toBe(0);
    expect(await redis.xlen(keys.front)).toBe(1);
    expect(await redis.zcard(keys.schedule)).toBe(0);

    expect((await settle(redis, keys, [completed(fresh!)])).fenced).toEqual([]);
    const after = await record('k');
    expect(after).toMatchObject({ s: 'completed', k: 'b' });
    expect((await settle(redis, keys, [settlement])).fenced).toEqual([settlement]);
    expect(await record('k')).toEqual(after);
  });

  test('is rerouted as it is, with a record and without, when its entry is older than what was replaced is kept', async () => {
    const { redis, keys, read, record } = await open();
    const message = encodeEnvelope(encoderFor({}, 'args'), 'noop', 60_000, null, {});
    await redis.xadd(keys.work, '1-1', 'k', 'k', 'm', message); // in 1970
    await redis.xadd(keys.work, '1-2', 'm', message);
    await redis.hset(keys.record('k'), { s: 'queued', g: '1', e: 'w1-1', t: 'noop' });
    const reroutes = (await read('a')).map(
      (entry) => ({ ...again(entry, 10_000), message: null, recalledFor: 'noop' }) as Settlement,
    );
    expect(await settle(redis, keys, reroutes)).toEqual({ fenced: [], errors: [] });
    expect((await redis.zrange(keys.schedule, '0', '-1')).sort()).toEqual(['kk', 'llean']);
    expect(await record('k')).toMatchObject({ s: 'scheduled', e: '' });
  });

  test('that moves on has the counts that its settlement gives it, and keeps its due time only where that says so', async () => {
    const { redis, keys, read } = await open();
    const message = encodeEnvelope(encoderFor({}, 'args'), 'noop', 60_000, null, {});
    await redis.xadd(keys.work, '1-1', 'k', 'k', 'm', message); // in 1970
    await redis.hset(keys.record('k'), { s: 'queued', g: '1', e: 'w1-1', t: 'noop' });
    const [first] = await read('a');
    const counts = { deliveries: 3, charges: 2, reroutes: 1 };
    await settle(redis, keys, [{ ...again(first!), ...counts, keepsDue: true } as Settlement]);
    const [second] = await read('a');
    expect(second).toMatchObject({ ...counts, dueMs: 1 });
    await settle(redis, keys, [again(second!)]);
    const [third] = await read('a');
    expect(third).toMatchObject({ deliveries: 0, charges: 0, reroutes: 0 });
    expect(third!.dueMs).toBeGreaterThan(1);
  });

  test('is remembered when it is rerouted, as one of a bounded number: those that are due last are kept', async () => {
    const { redis, keys, add, read } = await open();
    const rerouted = `${keys.prefix}rerouted:noop`;
    const others = Array.from({ length: REROUTED_MEMBERS }, (_, i) => [1, `kother${i}`]).flat();
    await redis.zadd(rerouted, ...others);
    await add(['k']);
    const [entry] = await read('a');
    await settle(redis, keys, [{ ...again(entry!, 60_000), reroutes: 1, recalledFor: 'noop' } as Settlement]);
    expect(await redis.zcard(rerouted)).toBe(REROUTED_MEMBERS);
    expect(await redis.zscore(rerouted, 'kk')).not.toBeNull();
    await redis.del(keys.schedule, keys.record('k'));
  });

  test('that fails is kept with its own error, beside others that fail in one batch', async () => {
    const { redis, keys, add, read } = await open();
    await add(['a', 'b']);
    const settlements = (await read('a')).map(
      (entry) => ({ ...failed(entry), failure: { ...FAILURE, errorLine: `no ${entry.record}` } }) as Settlement,
    );
    await settle(redis, keys, settlements, { ttlMs: 60_000, maxCount: 9, maxBytes: 99_999 });
    const kept = (await redis.xrange(keys.failures, '-', '+')) as [string, string[]][];
    const textOf = (fields: string[], name: string) => fields[fields.indexOf(name) + 1];
    expect(kept.map(([, fields]) => ['kind', 'key', 'line'].map((name) => textOf(fields, name)))).toEqual([
      ['failed', 'a', 'no a'],
      ['failed', 'b', 'no b'],
    ]);
  });

  test('that fails removes a bounded number of bytes of failures that are too many', async () => {
    const { redis, keys, add, read } = await open();
    for (let i = 0; i < 6; i++) await redis.xadd(keys.failures, '*', 'message', 'x'.repeat(BATCH_BYTES));
    await add(['k']);
    const [entry] = await read('a');
    const settlement = { ...failed(entry!), failure: FAILURE } as Settlement;
    await settle(redis, keys, [settlement], { ttlMs: 60_000, maxCount: 1, maxBytes: 99_999 });
    expect(await redis.xlen(keys.failures)).toBe(5);
  });

  test('whose key was replaced while it ran is reported when it is settled, and writes nothing', async () => {
    const { redis, keys, add, read, replace, record } = await open();
    await add(['k']);
    const [entry] = await read('a');
    await claim(redis, keys, 'a', [{ key: 'k', token: entry!.token, attempt: 1 }]);
    await replace('k');
    const successor = await record('k');
    expect((await settle(redis, keys, [completed(entry!)])).fenced.map(({ token }) => token)).toEqual([entry!.token]);
    expect(await record('k')).toEqual(successor);
  });

  test.each([0, 60_000])('that was cancelled while it ran ends when it is to go on in %i ms', async (delayMs) => {
    const { redis, keys, add, read, record } = await open();
    await add(['k']);
    const [entry] = await read('a');
    await claim(redis, keys, 'a', [{ key: 'k', token: entry!.token, attempt: 1 }]);
    await redis.hset(keys.record('k'), 'z', '1');
    expect(await settle(redis, keys, [again(entry!, delayMs)])).toEqual({ fenced: [], errors: [] });
    expect([await redis.xlen(keys.work), await redis.zcard(keys.schedule)]).toEqual([0, 0]);
    expect(await record('k')).toMatchObject({ s: 'cancelled', e: '' });
  });

  test('whose entry was deleted by hand takes no other of its batch with it', async () => {
    const { redis, keys, add, read, record } = await open();
    await add(['a1', 'a2', 'a3']);
    const [first, gone, last] = await read('a');
    await redis.xdel(keys.work, gone!.token.slice(1));
    const { fenced, errors } = await settle(redis, keys, [completed(first!), again(gone!), completed(last!)]);
    expect([fenced, errors]).toEqual([[], [expect.stringContaining(gone!.token)]]);
    expect([(await record('a1')).s, (await record('a3')).s]).toEqual(['completed', 'completed']);
  });

  test('is settled in batches: what is owned is written, and what is not is returned', async () => {
    const { redis, keys, add, read, passOn, record } = await open();
    await add(['a1', 'a2', 'a3', 'a4']);
    const entries = await read('a');
    await passOn([entries[1]!, entries[3]!], 'b');
    const { fenced } = await settle(redis, keys, [
      completed(entries[0]!),
      failed(entries[1]!),
      again(entries[2]!),
      completed(entries[3]!),
    ]);
    expect(fenced.map(({ token }) => token).sort()).toEqual([entries[1]!.token, entries[3]!.token].sort());
    const states = await Promise.all(['a1', 'a2', 'a3', 'a4'].map(async (key) => (await record(key)).s));
    expect(states).toEqual(['completed', 'queued', 'queued', 'queued']);
  });

  test('that is settled twice, because its answer was lost, is written once', async () => {
    const { redis, keys, add, read } = await open();
    await add(['k']);
    const [entry] = await read('a');
    expect((await settle(redis, keys, [again(entry!)])).fenced).toEqual([]);
    expect((await settle(redis, keys, [again(entry!)])).fenced).toHaveLength(1);
    expect(await redis.xlen(keys.work)).toBe(1);
  });

  test('of a lean execution is acknowledged by its owner only', async () => {
    const { redis, keys, addLean, read, passOn } = await open();
    await addLean(3);
    const entries = await read('a');
    const [fresh] = await passOn([entries[1]!], 'b');
    expect(
      await acknowledge(
        redis,
        keys,
        entries.map(({ token }) => token),
      ),
    ).toEqual([entries[1]!.token]);
    expect([await redis.xlen(keys.work), await redis.xlen(keys.front)]).toEqual([0, 1]);
    expect(await acknowledge(redis, keys, [fresh!.token])).toEqual([]);
    expect(await redis.xlen(keys.front)).toBe(0);
  });

  test('of a lean execution cannot be retried by an owner that lost it', async () => {
    const { redis, keys, addLean, read, passOn } = await open();
    await addLean(1);
    const [stale] = await read('a');
    await passOn([stale!], 'b');
    expect((await settle(redis, keys, [again(stale!), again(stale!, 500)])).fenced).toHaveLength(2);
    expect([await redis.xlen(keys.work), await redis.zcard(keys.schedule)]).toEqual([0, 0]);
  });

  test('is renewed by its owner only; one that has passed on is reported lost, and stays with its successor', async () => {
    const { redis, keys, add, read, passOn } = await open();
    await add(['kept', 'lost']);
    const [kept, lost] = await read('a');
    const [fresh] = await passOn([lost!], 'b');
    const unknown: Token = 'w1-1';
    expect(await renew(redis, keys, 'a', [kept!.token, lost!.token, unknown])).toEqual([lost!.token, unknown]);
    const pending = (await redis.xpending(keys.front, 'workers', '-', '+', 10)) as [string, string][];
    expect(pending.map(([id, consumer]) => [`f${id}`, consumer])).toEqual([[fresh!.token, 'b']]);
  });

  test('that was renewed or settled in time is not redelivered', async () => {
    const { redis, keys, add, read } = await open();
    await add(['renewed', 'settled']);
    const entries = await read('a');
    const [renewed, settled] = entries.map(({ token }) => token) as [Token, Token];
    await settle(redis, keys, [completed(entries[1]!)]);
    await renew(redis, keys, 'a', [renewed]);
    expect(await redeliver(redis, keys, 5_000, [renewed, settled])).toBe(0);
    expect([await redis.xlen(keys.work), await redis.xlen(keys.front)]).toEqual([1, 0]);
  });

  test('that is redelivered keeps its due time and message, and is counted', async () => {
    const { add, addLean, read, passOn } = await open();
    await add(['k']);
    await addLean(1);
    const first = await read('a');
    expect(first.map(({ deliveries }) => deliveries)).toEqual([0, 0]);
    const second = await passOn(first, 'b');
    const third = await passOn(second, 'c');
    // Whether what has no record had begun cannot be known: its limits are taken to be behind it.
    const stages = ['new', 'attempt-admitted'] as const;
    const expected = first.map((entry, i) => {
      return { ...entry, token: third[i]!.token, deliveries: 2, admissionStage: stages[i]! } satisfies Entry;
    });
    expect(third).toEqual(expected);
  });

  test('that is redelivered tells listeners that its execution is queued again', async () => {
    const { redis, keys, add, read, passOn } = await open();
    await add(['k']);
    const entries = await read('a');
    const subscriber = await openConnection(url(), 'commands');
    onTestFinished(() => closeConnection(subscriber));
    const heard: string[] = [];
    subscriber.on('message', (_, message) => heard.push(String(message)));
    await subscriber.subscribe(`${keys.prefix}events:k`);
    await redis.set(keys.listeners, '1', 'EX', 60);
    await passOn(entries, 'b');
    await waitFor(() => heard.length > 0);
    expect(heard[0]).toMatch(/^\d+ queued \d+\n/);
  });

  test('whose record has moved on is removed without effect', async () => {
    const { redis, keys, add, read } = await open();
    await add(['k']);
    const [entry] = await read('a');
    await redis.hset(keys.record('k'), 'e', 'w9-9');
    await redis.sadd(keys.superseded, entry!.token);
    await waitFor(async () => {
      await redeliver(redis, keys, 1, [entry!.token]);
      return (await redis.xlen(keys.work)) === 0;
    });
    expect(await redis.xlen(keys.front)).toBe(0);
    expect(await redis.exists(keys.superseded)).toBe(0);
    expect(await redis.hget(keys.record('k'), 'e')).toBe('w9-9');
  });

  test('is removed by its claim once its key was replaced, and its replacement is forgotten', async () => {
    const { redis, keys, add, read } = await open();
    await add(['k']);
    const [entry] = await read('a');
    await redis.hset(keys.record('k'), { e: 'w9-9', s: 'queued' });
    await redis.sadd(keys.superseded, entry!.token);
    const claims = [{ key: 'k', token: entry!.token, attempt: 1 }];
    expect(await claim(redis, keys, 'a', claims)).toEqual({ refused: [0], errors: [] });
    expect([await redis.xlen(keys.work), await redis.exists(keys.superseded)]).toEqual([0, 0]);
    expect(await redis.xpending(keys.work, 'workers')).toEqual([0, null, null, null]);
    expect(await redis.hgetall(keys.record('k'))).toMatchObject({ s: 'queued', e: 'w9-9' });
  });

  test.each(['now', 'later'] as const)(
    'of a lean execution that was cancelled while it ran ends when it is to go on (%s)',
    async (when) => {
      const { redis, keys, addLean, read } = await open();
      await addLean(1);
      const [entry] = await read('a');
      await redis.zadd(keys.cancelled, 1, 'lean');
      expect(await settle(redis, keys, [again(entry!, when === 'now' ? 0 : 60_000)])).toEqual({
        fenced: [],
        errors: [],
      });
      expect([await redis.xlen(keys.work), await redis.zcard(keys.schedule)]).toEqual([0, 0]);
      expect(await redis.exists(keys.cancelled, keys.parked('lean'))).toBe(0);
    },
  );

  test('of a chain without records is followed by a run that says when it was placed', async () => {
    const { redis, keys, addLean, read } = await open();
    await addLean(1);
    const [entry] = await read('a');
    const before = Number(await redis.incr(keys.generation));
    const followed: Settlement = {
      ...{ kind: 'followed', token: entry!.token, record: null, ttlMs: 0, state: 'completed' },
      ...{ due: { delayMs: 60_000 }, message: entry!.message!, id: 'lean', errorLine: '', chain: '' },
    };
    await settle(redis, keys, [followed]);
    expect(Number(await redis.hget(keys.parked('lean'), 'pg'))).toBeGreaterThan(before);
    await redis.del(keys.schedule, keys.parked('lean'));
  });

  test('is dated by its first entry wherever it is moved, if it has no record to say so', async () => {
    const { redis, keys, add, addLean, read } = await open();
    await add(['k']);
    await addLean(1);
    const [recorded, lean] = await read('a');
    await settle(redis, keys, [again(recorded!, 60_000), again(lean!, 60_000)]);
    expect(await redis.hget(keys.parked('lean'), 'pg')).toBe(lean!.token.slice(1));
    expect(await redis.hexists(keys.record('k'), 'pg')).toBe(0);
  });

  test('that has expired is looked for by one sweeper at a time', async () => {
    const { redis, keys } = await open();
    const begin = () => beginSweep(redis, keys, { pauseMs: 60_000, cursor: '0' });
    expect([await begin(), await begin()]).toEqual([{ cursor: '0', nowMs: expect.any(Number) }, null]);
  });

  test('is looked for page by page', async () => {
    const { redis, keys, addLean, read } = await open();
    await addLean(600);
    const tokens = (await read('dead', 600)).map(({ token }) => token);
    const look = (from: string) => findExpired(redis, keys, { stream: 'work', leaseMs: 1, from });
    await waitFor(async () => (await look(FIRST_PAGE)).expired.length === 128);
    const found: string[] = [];
    let pages = 0;
    for (let from: string | null = FIRST_PAGE; from !== null; pages++) {
      const { expired, next } = await look(from);
      found.push(...expired.map(({ token, consumer }) => `${consumer} ${token}`));
      from = next;
    }
    expect([found, pages]).toEqual([tokens.map((token) => `dead ${token}`), 5]);
    expect(await findExpired(redis, keys, { stream: 'work', leaseMs: 60_000, from: FIRST_PAGE })).toMatchObject({
      expired: [],
    });
  });

  test('has the longest lease that a live worker asks for', async () => {
    const { redis, keys, add, read } = await open();
    const report = {
      name: 'slow',
      threads: 1,
      concurrency: 1,
      running: 0,
      tasks: [],
      leaseMs: 60_000,
      canClaim: true,
      hasFallback: false,
    };
    await heartbeat(redis, keys, { consumer: 'slow:1', ttlMs: 60_000 }, report);
    await heartbeat(redis, keys, { consumer: 'quick:1', ttlMs: 60_000 }, { ...report, name: 'quick', leaseMs: 5 });
    await add(['k']);
    await read('dead');
    const { logger } = recordingLogger();
    const reclaimer = new Reclaimer({ ...optionsOf(redis), keys, leaseMs: 30, logger, inHand: () => [] });
    reclaimer.start();
    onTestFinished(() => reclaimer.stop());
    for (let sweeps = 0; sweeps < 3; sweeps++) {
      await waitFor(async () => (await redis.exists(keys.sweeper)) === 1);
      await redis.del(keys.sweeper);
    }
    expect(await redis.xlen(keys.front)).toBe(0);
    await leave(redis, keys, 'slow:1');
    await waitFor(async () => (await redis.xlen(keys.front)) === 1);
  });

  test('keeps the consumer of a dead worker until nothing is pending on it, and a live one always', async () => {
    const { redis, keys, addLean, read } = await open();
    const forget = () => forgetDeadConsumers(redis, keys, new Set(['live']), 1);
    const consumers = async () => {
      const info = (await redis.xinfo('CONSUMERS', keys.work, 'workers')) as [string, string][];
      return info.map((one) => one[one.indexOf('name') + 1]).sort();
    };
    await addLean(2);
    const [mine] = await read('dead', 1);
    const [theirs] = await read('live', 1);
    await acknowledge(redis, keys, [theirs!.token]);
    await forget();
    expect(await consumers()).toEqual(['dead', 'live']);
    await acknowledge(redis, keys, [mine!.token]);
    await waitFor(async () => {
      await forget();
      return (await consumers()).length === 1;
    });
    expect(await consumers()).toEqual(['live']);
  });

  test('outlives the worker that signs off with it, as does its consumer', async () => {
    const { redis, keys, addLean, read } = await open();
    await addLean(1);
    const [entry] = await read('a');
    await leave(redis, keys, 'a');
    expect(await renew(redis, keys, 'a', [entry!.token])).toEqual([]);
  });

  test('is not reclaimed by its own worker when renewals are late, unless it is unknown to that worker', async () => {
    const { redis, keys, add, read } = await open();
    await add(['held', 'forgotten']);
    const [held, forgotten] = await read('me');
    const { logger, lines } = recordingLogger();
    const reclaimer = new Reclaimer({ ...optionsOf(redis), keys, logger, inHand: () => [{ token: held!.token }] });
    reclaimer.start();
    onTestFinished(() => reclaimer.stop());
    await waitFor(async () => (await redis.xlen(keys.front)) === 1);
    expect(lines).toMatchObject([{ level: 'warn', fields: { count: 1, from: ['me'] } }]);
    // The next sweeps find what is held, too, and leave it alone.
    for (let sweeps = 0; sweeps < 3; sweeps++) {
      await waitFor(async () => (await redis.exists(keys.sweeper)) === 1);
      await redis.del(keys.sweeper);
    }
    expect(await redis.xlen(keys.front)).toBe(1);
    expect(await renew(redis, keys, 'me', [held!.token, forgotten!.token])).toEqual([forgotten!.token]);
  });

  test('is found on any page of expired leases', async () => {
    const { redis, keys, addLean, read } = await open();
    await addLean(250);
    expect(await read('dead', 250)).toHaveLength(250);
    const { logger } = recordingLogger();
    const reclaimer = new Reclaimer({ ...optionsOf(redis), keys, logger, inHand: () => [] });
    reclaimer.start();
    onTestFinished(() => reclaimer.stop());
    await waitFor(async () => (await redis.xlen(keys.front)) === 250);
    expect(await redis.xlen(keys.work)).toBe(0);
  });
});
