/** Executions that fail for good are kept, can be looked at, run again and discarded, and never take more than their room. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import {
  type AnyTask,
  call,
  concurrencyLimit,
  type Docket,
  type Failure,
  type FailureGroupFilter,
  InvalidOptionError,
  perpetual,
  RedisUnavailableError,
  retry,
  type TaskContext,
  task,
  UndecodableValueError,
} from 'docket';
import { describe, expect, onTestFinished, test } from 'vitest';
import { closeConnection, importBuilt, openConnection } from '../support/built.js';
import { collect } from '../support/collect.js';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const { ensureGroups, settle } =
  await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { retryFailures } =
  await importBuilt<typeof import('../../src/redis/failure-store.js')>('redis/failure-store.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { BATCH_ITEMS } = await importBuilt<typeof import('../../src/redis/schema.js')>('redis/schema.js');
const { SCRIPTS } =
  await importBuilt<typeof import('../../src/redis/scripts.generated.js')>('redis/scripts.generated.js');
const { readEntries } = await importBuilt<typeof import('../../src/redis/stream-reader.js')>('redis/stream-reader.js');

/** Where a thousand executions run, on a machine that has other work. */
const SLOWLY = { timeoutMs: 80_000 };

class CardDeclined extends Error {
  override readonly name = 'CardDeclined';
  constructor(readonly amount: number) {
    super(`${amount} was declined`);
  }
}

describeEachServer('a failure', (url) => {
  const stage = setStage(url);

  /** A task that fails until it is mended, and writes down its attempts. */
  function charging(options: { attempts?: number; name?: string } = {}) {
    const ran: { key: string; attempt: number; args: { amount: number } }[] = [];
    const till = { isMended: false };
    const body = async (args: { amount: number }, { key, attempt }: TaskContext) => {
      ran.push({ key, attempt, args });
      if (!till.isMended) throw new CardDeclined(args.amount);
    };
    const { attempts = 1, name = 'charge' } = options;
    return { charge: task(name, { retry: retry({ attempts }) }, body), ran, till };
  }

  const kept = async (docket: Docket): Promise<Failure[]> => await collect(docket.failures());
  const keptCount = async (docket: Docket, count: number, patience = {}) =>
    await waitFor(async () => (await docket.snapshot({ limit: 0 })).totals.failures === count, patience);

  async function failed(docket: Docket, charge: AnyTask, keys: readonly (string | undefined)[]): Promise<void> {
    for (const [i, key] of keys.entries())
      await docket.add(charge as never, { amount: i } as never, key ? { key } : {});
  }

  describe('is kept', () => {
    test('once its last attempt has failed, with its arguments, its error, and where and when that was', async () => {
      const { charge } = charging({ attempts: 2 });
      const docket = stage.docket({ errors: [CardDeclined] });
      const execution = await docket.add(charge, { amount: 7 }, { key: 'c-7' });
      await stage.finish({ charge }, { name: 'till' });
      const [failure, ...others] = await kept(docket);
      expect(others).toEqual([]);
      expect(failure).toMatchObject({
        ...{ key: 'c-7', task: 'charge', kind: 'failed', reason: null, attempts: 2, deliveries: 0, worker: 'till' },
        ...{ errorName: 'CardDeclined', errorLine: 'CardDeclined: 7 was declined', thread: expect.any(Number) },
      });
      expect(failure!.args()).toEqual({ amount: 7 });
      expect(failure!.error).toBeInstanceOf(CardDeclined);
      expect(failure!.error).toMatchObject({ amount: 7, stack: expect.stringContaining('failures.test') });
      await execution.sync();
      const [added, started, ended] = [failure!.addedAt!, failure!.startedAt!, failure!.failedAt].map(Number);
      expect(added).toBe(execution.when.getTime());
      expect(started).toBeGreaterThanOrEqual(added!);
      expect(ended).toBeGreaterThanOrEqual(execution.completedAt!.getTime()); // the embedded server's clock goes on in a script
      expect(await docket.failure(failure!.id)).toEqual({
        ...failure,
        args: expect.any(Function),
        toJSON: expect.any(Function),
      });
    });

    test('without a record too, under its id', async () => {
      const { charge } = charging();
      const docket = stage.docket({ executionTtl: 0 });
      const { key } = await docket.add(charge, { amount: 3 });
      await stage.finish({ charge });
      const [failure] = await kept(docket);
      expect(failure).toMatchObject({ key, task: 'charge', kind: 'failed', attempts: 1 });
      expect(failure!.args()).toEqual({ amount: 3 });
      expect(failure!.addedAt!.getTime()).toBeLessThanOrEqual(failure!.failedAt.getTime());
      expect(failure!.startedAt).toBeInstanceOf(Date);
      expect(await stage.record(key)).toEqual({});
    });

    test('when something else than an error was thrown', async () => {
      const odd = task('odd', () => {
        throw 'just: text';
      });
      const docket = stage.docket();
      await docket.add(odd);
      await stage.finish({ odd });
      expect(await kept(docket)).toMatchObject([{ errorName: null, errorLine: 'just: text', error: 'just: text' }]);
    });

    test('of each run of a chain that fails, and the chain goes on', async () => {
      const docket = stage.docket();
      let runs = 0;
      const tick = task('tick', { perpetual: perpetual({ every: '1h' }) }, () => {
        runs += 1;
        throw new Error('no');
      });
      await docket.add(tick, {}, { key: 'clock' });
      stage.work({ tick });
      await keptCount(docket, 1);
      const [failure] = await kept(docket);
      expect(failure).toMatchObject({ key: 'clock', task: 'tick', errorLine: 'Error: no' });
      expect([(await docket.getExecution('clock'))?.state, runs]).toEqual(['scheduled', 1]);
      expect(await docket.retry(failure!.id)).toMatchObject({ retried: [], taken: [{ key: 'clock' }] });
      await docket.cancel('clock');
    });

    test('of an execution that lacks the argument by which a limit counts', async () => {
      const limited = task('limited', { limits: [concurrencyLimit('who', { max: 1 })] }, (_: { who: string }) => {});
      for (const docket of [stage.docket(), stage.docket({ executionTtl: 0 })]) await docket.add('limited', {});
      await stage.finish({ limited });
      const failures = await kept(stage.docket());
      expect(failures).toHaveLength(2);
      for (const failure of failures) {
        expect(failure).toMatchObject({
          task: 'limited',
          errorName: 'LimitArgumentError',
          thread: null,
          startedAt: null,
        });
      }
    });

    test('no longer than a worker says, and not at all with a failureTtl of 0', async () => {
      const { charge } = charging();
      const docket = stage.docket();
      const redis = await stage.redis();
      await failed(docket, charge, ['a']);
      await stage.finish({ charge }, { failureTtl: 0 });
      expect(await kept(docket)).toEqual([]);
      await failed(docket, charge, ['a']);
      await stage.finish({ charge }, { failureTtl: '1h' });
      expect(await kept(docket)).toHaveLength(1);
      for (const suffix of ['failures', 'failure-bounds']) {
        const ttlMs = await redis.pttl(stage.key(suffix));
        expect(ttlMs).toBeGreaterThan(0);
        expect(ttlMs).toBeLessThanOrEqual(3_600_000);
      }
    });

    test('never of an execution that completed, was cancelled, or is struck', async () => {
      const docket = stage.docket();
      const fine = task('fine', () => 1);
      const begun = deferred();
      const stubborn = task('stubborn', async (_args: {}, { signal }) => {
        begun.resolve();
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('no'))));
      });
      await docket.add(fine);
      const { key } = await docket.add(stubborn);
      stage.work({ fine, stubborn });
      await begun.promise;
      await docket.cancel(key);
      await waitFor(async () => (await docket.getExecution(key))?.state === 'cancelled');
      expect(await kept(docket)).toEqual([]);
    });

    test('never of an execution whose key was replaced while it ran', async () => {
      const docket = stage.docket();
      const [begun, goOn] = [deferred(), deferred()];
      const slow = task('slow', async ({ last }: { last: boolean }) => {
        if (last) return;
        begun.resolve();
        await goOn.promise;
        throw new Error('too late');
      });
      await docket.add(slow, { last: false }, { key: 'k' });
      stage.work({ slow });
      await begun.promise;
      const replaced = await docket.replace(slow, { last: true }, { key: 'k' });
      goOn.resolve();
      await replaced.result();
      await waitFor(async () => (await (await stage.redis()).xlen(stage.key('work'))) === 0);
      expect(await kept(docket)).toEqual([]);
    });
  });

  describe('is retried', () => {
    test('under its key, with its arguments and its TTL, as a first attempt, and is gone', async () => {
      const { charge, ran, till } = charging({ attempts: 2 });
      const docket = stage.docket({ executionTtl: '1h' });
      await docket.add(charge, { amount: 5 }, { key: 'c-5' });
      stage.work({ charge });
      await keptCount(docket, 1);
      const [{ id } = { id: '' }] = await kept(docket);
      till.isMended = true;
      const other = stage.docket(); // its own TTL is not what counts
      expect(await other.retry(id)).toEqual({
        ...{ retried: [{ id, key: 'c-5' }], taken: [], struck: [], unusable: [], missing: [] },
      });
      await waitFor(async () => (await docket.getExecution('c-5'))?.state === 'completed');
      expect(ran.map(({ attempt }) => attempt)).toEqual([1, 2, 1]);
      expect(ran.at(-1)!.args).toEqual({ amount: 5 });
      expect(await (await stage.redis()).pttl(stage.key('run:c-5'))).toBeGreaterThan(1_800_000);
      expect(await docket.failure(id)).toBeNull();
      expect(await docket.retry(id)).toMatchObject({ retried: [], missing: [id] });
      expect(ran).toHaveLength(3);
    });

    test('without a record under its old id, through all its attempts, also if it was cancelled too late before', async () => {
      const { charge, ran } = charging({ attempts: 2 });
      const docket = stage.docket({ executionTtl: 0 });
      const { key } = await docket.add(charge, { amount: 1 });
      stage.work({ charge });
      await keptCount(docket, 1);
      const redis = await stage.redis();
      await redis.zadd(stage.key('cancelled'), Date.now() + 60_000, key);
      await redis.pexpire(stage.key('cancelled'), 60_000);
      expect(await docket.retry({})).toMatchObject({ retried: [{ key }] });
      await waitFor(() => ran.length === 4);
      expect(ran.slice(2)).toEqual([1, 2].map((attempt) => ({ key, attempt, args: { amount: 1 } })));
      await keptCount(docket, 1);
    });

    test('unless another execution has its key meanwhile: that is said, and it stays', async () => {
      const { charge } = charging();
      const docket = stage.docket();
      await failed(docket, charge, ['a', 'b']);
      await stage.finish({ charge });
      const taking = await docket.add(charge, { amount: 99 }, { key: 'a', when: '1h' });
      const report = await docket.retry({ task: charge });
      expect(report).toMatchObject({ retried: [{ key: 'b' }], taken: [{ key: 'a' }], missing: [] });
      expect((await kept(docket)).map(({ key }) => key)).toEqual(['a']);
      await taking.sync();
      expect([taking.state, taking.args]).toEqual(['scheduled', { amount: 99 }]);
      for (const key of ['a', 'b']) await docket.cancel(key);
    });

    test('unless a strike meets it, of its task or of an argument: that is said, and it stays', async () => {
      const { charge } = charging();
      const docket = stage.docket();
      await failed(docket, charge, ['zero', 'one']);
      await stage.finish({ charge });
      await stage.docket().strike(null, 'amount', '==', 1);
      const first = await docket.retry({});
      expect(first).toMatchObject({
        retried: [{ key: 'zero' }],
        struck: [{ key: 'one', reason: expect.stringContaining('amount') }],
      });
      await stage.docket().strike(charge);
      expect(await docket.retry({})).toMatchObject({ retried: [], struck: [{ key: 'one' }] });
      await stage.docket().restore(charge);
      await stage.docket().restore(null, 'amount', '==', 1);
      expect(await docket.retry({})).toMatchObject({ retried: [{ key: 'one' }], struck: [] });
      for (const key of ['zero', 'one']) await docket.cancel(key);
    });

    test('in the order in which they failed, and what fails again is not retried in turn', async () => {
      const { charge, ran } = charging();
      const docket = stage.docket();
      await failed(docket, charge, ['a', 'b', 'c']);
      stage.work({ charge });
      await keptCount(docket, 3);
      expect((await docket.retry({})).retried.map(({ key }) => key)).toEqual(['a', 'b', 'c']);
      await keptCount(docket, 3);
      expect(ran.map(({ key }) => key)).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
    });

    test('a thousand at once by a filter, each once', async () => {
      const { charge, ran, till } = charging();
      const other = task('other', () => {
        throw new Error('stays');
      });
      const docket = stage.docket();
      const keys = Array.from({ length: 1_000 }, (_, i) => `k${i}`);
      await docket.add(other);
      await Promise.all(keys.map((key, amount) => docket.add(charge, { amount }, { key })));
      stage.work({ charge, other }, { concurrency: 50 });
      await keptCount(docket, 1_001, SLOWLY);
      till.isMended = true;
      ran.length = 0;
      const report = await docket.retry({ task: charge });
      expect(report.retried).toHaveLength(1_000);
      await waitFor(() => ran.length >= 1_000, SLOWLY);
      await waitFor(async () => (await docket.snapshot({ limit: 0 })).totals.running === 0);
      expect(ran.map(({ key }) => key).sort()).toEqual([...keys].sort());
      expect(await kept(docket)).toMatchObject([{ task: 'other' }]);
    }, 180_000);

    test('in as many scripts as its size asks for', async () => {
      const large = task('large', (_: { text: string }) => {
        throw new Error('no');
      });
      const docket = stage.docket();
      const text = 'x'.repeat(400_000);
      for (let i = 0; i < 7; i++) await docket.add(large, { text }, { key: `l${i}` });
      await stage.finish({ large });
      const ids = (await kept(docket)).map(({ id }) => id);
      const statuses = await retryFailures(await stage.redis(), keysOf(stage.name), ids, '');
      expect(statuses).toEqual(['retried', 'retried', 'retried']); // more than 1 MiB
      expect((await docket.retry({})).retried).toHaveLength(4);
      expect(await kept(docket)).toEqual([]);
      await docket.clear();
    });

    test('not while its message cannot be read, or while something else has its key: that is said, and it stays', async () => {
      const { charge } = charging();
      const docket = stage.docket();
      const redis = await stage.redis();
      await redis.xadd(stage.key('work'), '*', 'm', 'rubbish');
      await failed(docket, charge, ['k']);
      await stage.finish({ charge });
      await redis.del(stage.key('run:k'));
      await redis.set(stage.key('run:k'), 'no record', 'EX', 600);
      const { retried, unusable } = await docket.retry({});
      expect(retried).toEqual([]);
      expect(unusable.map(({ key, reason }) => [key, reason])).toEqual([
        [null, 'its message cannot be read'],
        ['k', expect.stringContaining('WRONGTYPE')],
      ]);
      const failures = await kept(docket);
      expect(failures).toHaveLength(2);
      const [unreadable] = failures.filter(({ kind }) => kind === 'quarantined');
      expect(unreadable).toMatchObject({
        key: null,
        task: null,
        reason: expect.stringContaining('message'),
        error: null,
      });
      expect(() => unreadable!.args()).toThrow(UndecodableValueError);
      expect(await redis.xlen(stage.key('work'))).toBe(0);
    });
  });

  describe('is found', () => {
    test('by task, error, time and number, the newest first, page by page', async () => {
      const { charge } = charging();
      const odd = task('odd', () => {
        throw new TypeError('odd');
      });
      const docket = stage.docket();
      const keys = Array.from({ length: 250 }, (_, i) => `k${i}`);
      await Promise.all(keys.map((key, amount) => docket.add(charge, { amount }, { key })));
      await docket.add(odd, {}, { key: 'odd' });
      await stage.finish({ charge, odd });
      const found = async (filter: object) => (await collect(docket.failures(filter))).map(({ key }) => key);
      const all = await kept(docket);
      expect(all.map(({ key }) => key).sort()).toEqual([...keys, 'odd'].sort());
      const ids = all.map(({ id }) => id.split('-').map(Number) as [number, number]);
      expect(ids).toEqual([...ids].sort((a, b) => b[0] - a[0] || b[1] - a[1]));
      expect(await found({ task: odd })).toEqual(['odd']);
      expect(await found({ task: 'odd' })).toEqual(['odd']);
      expect(await found({ errorName: 'TypeError' })).toEqual(['odd']);
      expect((await found({ errorName: 'CardDeclined', limit: 120 })).length).toBe(120);
      expect(await found({ task: charge, errorName: 'TypeError' })).toEqual([]);
      expect(await found({ limit: 3 })).toEqual(all.slice(0, 3).map(({ key }) => key));
      const middle = all[125]!.failedAt;
      const since = all.filter(({ failedAt }) => failedAt >= middle).map(({ key }) => key);
      const until = all.filter(({ failedAt }) => failedAt <= middle).map(({ key }) => key);
      expect(await found({ since: middle })).toEqual(since);
      expect(await found({ until: middle })).toEqual(until);
      expect(await found({ since: new Date(all[0]!.failedAt.getTime() + 1) })).toEqual([]);
    });

    test.each<[string, unknown, RegExp]>([
      ['a task that is none', { task: 7 }, /failures\.task/],
      ['an empty error name', { errorName: '' }, /failures\.errorName/],
      ['a time that is none', { since: '1h' }, /failures\.since/],
      ['a time that is no time', { until: new Date(Number.NaN) }, /failures\.until/],
      ['a negative limit', { limit: -1 }, /failures\.limit/],
      ['an unknown part', { taks: 'x' }, /failures\.taks: there is no such option/],
    ])('but %s is refused', async (_, filter, message) => {
      const docket = stage.docket();
      expect(() => docket.failures(filter as never)).toThrow(InvalidOptionError);
      await expect(docket.retry(filter as never)).rejects.toThrow(message);
      await expect(docket.discard(filter as never)).rejects.toThrow(message);
    });

    test.each(['', 'k', '1', '1-1-1', `${'9'.repeat(30)}-0`])("but '%s' is refused as an id", async (id) => {
      const docket = stage.docket();
      await expect(docket.failure(id)).rejects.toThrow(InvalidOptionError);
      await expect(docket.retry([id])).rejects.toThrow(InvalidOptionError);
      await expect(docket.discard(id)).rejects.toThrow(InvalidOptionError);
    });

    test('not when there is none of this id', async () => {
      const docket = stage.docket();
      expect(await docket.failure('1-1')).toBeNull();
      expect(await docket.retry(['1-1', '1-1'])).toMatchObject({ retried: [], missing: ['1-1'] });
      expect(await docket.discard(['1-1'])).toBe(0);
    });
  });

  test('is counted with those of its task and error, whatever their number, and listed behind a newer one', async () => {
    const docket = stage.docket();
    const fail = task('fail', ({ n }: { n: number }) => {
      throw n % 3 === 0 ? new CardDeclined(n) : new RangeError('no');
    });
    const other = task('other', () => {
      throw new RangeError('no');
    });
    await docket.addMany([...Array.from({ length: 600 }, (_, n) => call(fail, { n })), call(other)]);
    await stage.finish({ fail, other }, { concurrency: 64 });
    const groups = await docket.failureGroups();
    expect(groups.map(({ task, errorName, count }) => [task, errorName, count])).toEqual([
      ['fail', 'RangeError', 400],
      ['fail', 'CardDeclined', 200],
      ['other', 'RangeError', 1],
    ]);
    const [newest] = await collect(docket.failures({ task: 'fail', errorName: 'CardDeclined', limit: 1 }));
    expect(groups[1]!.newestAt).toEqual(newest!.failedAt);
    const counts = async (filter: FailureGroupFilter) => (await docket.failureGroups(filter)).map(({ count }) => count);
    expect(await counts({ task: other })).toEqual([1]);
    expect(await counts({ errorName: 'RangeError' })).toEqual([400, 1]);
    expect(await counts({ task: 'fail', since: new Date(newest!.failedAt.getTime() + 60_000) })).toEqual([]);
    const seen: string[] = [];
    let before: string | undefined;
    do {
      const page = await collect(docket.failures({ limit: 250, ...(before !== undefined && { before }) }));
      seen.push(...page.map(({ id }) => id));
      before = page.at(-1)?.id;
    } while (before !== undefined);
    expect([seen.length, new Set(seen).size]).toEqual([601, 601]);
    expect(seen).toEqual((await collect(docket.failures())).map(({ id }) => id));
    const until = new Date(Number.parseInt(seen[0]!, 10) - 60_000);
    expect(await collect(docket.failures({ before: seen[0]!, until }))).toEqual([]);
    await expect(docket.failureGroups({ before: 'x' })).rejects.toThrow(InvalidOptionError);
    await docket.discard({});
  });

  test('is discarded by id and by filter', async () => {
    const { charge, ran } = charging();
    const docket = stage.docket();
    await failed(docket, charge, ['a', 'b', 'c']);
    await stage.finish({ charge });
    const [newest] = await kept(docket);
    expect(await docket.discard(newest!.id)).toBe(1);
    expect(await docket.discard([newest!.id])).toBe(0);
    expect(await docket.discard({ task: 'charge', limit: 1 })).toBe(1);
    expect((await kept(docket)).map(({ key }) => key)).toEqual(['a']);
    expect(await docket.discard({})).toBe(1);
    expect(await kept(docket)).toEqual([]);
    expect(ran).toHaveLength(3);
    expect(await (await stage.redis()).hget(stage.key('failure-bounds'), 'bytes')).toBe('0');
  });

  describe('makes room for newer ones', () => {
    test('by number', async () => {
      const { charge } = charging();
      const docket = stage.docket();
      await failed(docket, charge, ['a', 'b', 'c', 'd', 'e']);
      await stage.finish({ charge }, { maxFailures: 3 });
      expect((await kept(docket)).map(({ key }) => key)).toEqual(['e', 'd', 'c']);
    });

    test('by bytes, with its arguments', async () => {
      const large = task('large', (_: { text: string }) => {
        throw new Error('no');
      });
      const docket = stage.docket();
      for (const key of ['a', 'b', 'c', 'd']) await docket.add(large, { text: 'x'.repeat(10_000) }, { key });
      await stage.finish({ large }, { maxFailureBytes: 40_000 });
      const failures = await kept(docket);
      expect(failures[0]!.key).toBe('d');
      expect(failures.length).toBeLessThan(4);
      const bytes = Number(await (await stage.redis()).hget(stage.key('failure-bounds'), 'bytes'));
      expect(bytes).toBeGreaterThan(failures.length * 10_000);
      expect(bytes).toBeLessThanOrEqual(40_000);
    });

    test('by age', async () => {
      const { charge } = charging();
      const docket = stage.docket();
      const redis = await stage.redis();
      for (const id of ['1-0', '2-0']) await redis.xadd(stage.key('failures'), id, 'key', 'old');
      await redis.pexpire(stage.key('failures'), 60_000);
      await failed(docket, charge, ['new']);
      await stage.finish({ charge });
      expect((await kept(docket)).map(({ key }) => key)).toEqual(['new']);
    });

    test('also when what can never run comes, within the bounds that the last worker gave', async () => {
      const { charge } = charging();
      const docket = stage.docket();
      const redis = await stage.redis();
      await failed(docket, charge, ['a', 'b']);
      await stage.finish({ charge }, { maxFailures: 2, failureTtl: '1h' });
      await redis.xadd(stage.key('work'), '*', 'm', 'rubbish');
      await stage.finish({ charge }, { maxFailures: 2, failureTtl: '1h' });
      expect((await kept(docket)).map(({ kind }) => kind)).toEqual(['quarantined', 'failed']);
      expect(await redis.pttl(stage.key('failures'))).toBeLessThanOrEqual(3_600_000);
    });
  });

  test('whose place in Redis is taken by another program costs the others nothing', async () => {
    const { charge } = charging();
    const docket = stage.docket();
    const redis = await stage.redis();
    await redis.set(stage.key('failures'), 'no stream', 'EX', 600);
    const executions = await Promise.all([1, 2].map((amount) => docket.add(charge, { amount }, { key: randomUUID() })));
    stage.work({ charge });
    for (const execution of executions) await expect(execution.result()).rejects.toThrow('was declined');
  });
});

describeOnRedis('a retry whose answer is lost', (url) => {
  const stage = setStage(url);

  test('has placed the execution and removed the failure: repeated, it runs nothing twice', async () => {
    let runs = 0;
    const charge = task('charge', () => {
      runs += 1;
      if (runs === 1) throw new Error('no');
    });
    const docket = stage.docket();
    await docket.add(charge, {}, { key: 'k' });
    await stage.finish({ charge });
    const [failure] = await collect(docket.failures());
    const proxied = stage.docket({ url: await proxyWithoutReplyTo(new URL(stage.url).pathname, SCRIPTS.retry.sha) });
    await expect(proxied.retry({})).rejects.toThrow(RedisUnavailableError);
    expect(await docket.retry({})).toMatchObject({ retried: [], taken: [] });
    expect(await docket.retry(failure!.id)).toMatchObject({ retried: [], missing: [failure!.id] });
    await stage.finish({ charge });
    expect(runs).toBe(2);
  });
});

describeOnRedis('twenty thousand failures', (url) => {
  const stage = setStage(url);

  test('are ten thousand in the end, the newest, whose bytes are counted', async () => {
    const [redis, docket, keys] = [await stage.redis(), stage.docket({ executionTtl: 0 }), keysOf(stage.name)];
    await ensureGroups(redis, keys);
    const blocking = await openConnection(stage.url, 'blocking', { longestBlockMs: 100 });
    onTestFinished(() => closeConnection(blocking));
    const bounds = { ttlMs: 60_000, maxCount: 10_000, maxBytes: 1e9 };
    const failure = {
      ...{ errorName: 'Error', errorLine: 'Error: no', error: Buffer.alloc(500), worker: 'w' },
      ...{ thread: 1, startedMs: null },
    };
    const calls = Array.from({ length: 20_000 }, (_, i) => call('charge', { i }));
    const added = await docket.addMany(calls);
    let left = calls.length;
    while (left > 0) {
      const entries = await readEntries(blocking, keys, { consumer: 'w', count: BATCH_ITEMS, blockMs: 1 });
      const settlements = entries.map(({ token }) => ({ kind: 'unrecorded', token, failure }) as const);
      await settle(redis, keys, settlements, bounds);
      left -= entries.length;
      expect(await redis.xlen(keys.failures)).toBe(Math.min(10_000, calls.length - left));
    }
    const failures = await collect(docket.failures());
    const newest = added.slice(10_000).map(({ key }) => key);
    expect(failures.map(({ key }) => key)).toEqual(newest.reverse());
    const counted = Number(await redis.hget(keys.failureBounds, 'bytes'));
    const used = Number(await redis.call('MEMORY', 'USAGE', keys.failures, 'SAMPLES', '0'));
    expect(counted).toBeGreaterThan(used / 2);
    expect(counted).toBeLessThan(used * 2);
    expect(await docket.discard({})).toBe(10_000);
    expect(await redis.hget(keys.failureBounds, 'bytes')).toBe('0');
  }, 180_000);
});

/** Opens a way to a server that breaks when the server answers a command with this text. Returns its URL. */
async function proxyWithoutReplyTo(path: string, text: string): Promise<string> {
  const server = createServer((socket) => {
    const upstream = dial(path);
    let isLost = false;
    socket.on('data', (data) => {
      isLost ||= data.includes(text);
      upstream.write(data);
    });
    upstream.on('data', (data) => (isLost ? socket.destroy() : socket.write(data)));
    for (const end of [socket, upstream]) {
      end.on('error', () => {});
      end.on('close', () => [socket, upstream].map((other) => other.destroy()));
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
