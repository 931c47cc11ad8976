/**
 * This version runs what other versions of docket have written to Redis, and writes what they can read. The keys and
 * fields are literal letters, as the first version wrote them: this file must not use the schema, nor change with it.
 */
import { concurrencyLimit, debounce, rateLimit, retry, type TaskContext, task } from 'docket';
import { Packr } from 'msgpackr';
import { expect, test } from 'vitest';
import type { Token } from '../../src/redis/delivery-store.js';
import { importBuilt } from '../support/built.js';
import { collect } from '../support/collect.js';
import { setStage } from '../support/stage.js';
import { describeEachServer } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { redeliver } = await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { moveDue } = await importBuilt<typeof import('../../src/redis/schedule-store.js')>('redis/schedule-store.js');

type Fields = Record<string, string | number | Buffer>;

const packr = new Packr({ useRecords: false });
const HOUR_MS = 3_600_000;

/** A message: version, task, ttl, attempt, id, headers, arguments. */
function message(task: string, id: string | null = null, ttlMs = 60_000): Buffer {
  return packr.pack([1, task, ttlMs, 1, id, null, { value: 7 }]);
}

describeEachServer('on the wire,', (url) => {
  const stage = setStage(url);
  const runs: string[] = [];

  /** Tasks that note their runs. */
  function noting() {
    runs.length = 0;
    const body = ({ value }: { value?: number }, ctx: TaskContext) => {
      runs.push(`${ctx.key} ${ctx.attempt}`);
      return value;
    };
    return {
      free: task('free', body),
      one: task('one', { limits: [concurrencyLimit({ max: 1 })] }, body),
      rated: task('rated', { limits: [rateLimit({ max: 1, per: '1h' })] }, body),
      settled: task('settled', { limits: [debounce({ settle: '1s' })] }, body),
    };
  }

  const hash = async (suffix: string, fields: Fields) => (await stage.redis()).hset(stage.key(suffix), fields);
  const fieldsOf = async (suffix: string) => (await stage.redis()).hgetall(stage.key(suffix));
  const generation = async () => {
    const [seconds, microseconds] = await (await stage.redis()).time();
    return `${seconds}${String(microseconds).padStart(6, '0')}`;
  };
  const nowMs = async () => Number((await generation()).slice(0, -3));

  async function entry(stream: 'work' | 'front', fields: Fields): Promise<Token> {
    const redis = await stage.redis();
    return `${stream === 'work' ? 'w' : 'f'}${await redis.xadd(stage.key(stream), '*', ...Object.entries(fields).flat())}`;
  }

  /** An entry with a record, as `add` writes it. */
  async function queue(key: string, taskName: string, stream: 'work' | 'front' = 'work', more: Fields = {}) {
    const token = await entry(stream, { k: key, m: message(taskName), ...more });
    await hash(`run:${key}`, { s: 'queued', g: await generation(), e: token, t: taskName });
    return token;
  }

  /** A record on the schedule. */
  async function park(key: string, taskName: string, dueMs: number, more: Fields = {}) {
    const redis = await stage.redis();
    const record = { s: 'scheduled', g: await generation(), e: '', t: taskName, w: dueMs, m: message(taskName) };
    await hash(`run:${key}`, { ...record, ...more });
    await redis.zadd(stage.key('schedule'), dueMs, `k${key}`);
  }

  /** An execution without a record on the schedule. */
  async function parkLean(id: string, taskName: string, dueMs: number, more: Fields = {}) {
    const redis = await stage.redis();
    await hash(`parked:${id}`, { m: message(taskName, id, 0), w: dueMs, pg: await generation(), ...more });
    await redis.zadd(stage.key('schedule'), dueMs, `l${id}`);
  }

  /** Entries of a stream without their messages. */
  async function entriesOf(stream: 'work' | 'front') {
    const redis = await stage.redis();
    return (await redis.xrange(stage.key(stream), '-', '+')).map(([id, list]) => {
      const fields = Object.fromEntries(list.flatMap((name, i) => (i % 2 === 0 ? [[name, list[i + 1]!]] : [])));
      expect(Object.hasOwn(fields, 'm')).toBe(true);
      delete fields.m;
      return { id, fields };
    });
  }

  async function readBy(consumer: string) {
    const redis = await stage.redis();
    for (const stream of ['work', 'front'].map(stage.key)) {
      await redis.xgroup('CREATE', stream, 'workers', '0', 'MKSTREAM').catch(() => {});
      await redis.xreadgroup('GROUP', 'workers', consumer, 'COUNT', 9, 'STREAMS', stream, '>');
    }
  }

  test('an entry of either stream runs, with a record and without', async () => {
    const tasks = noting();
    await queue('first', 'free');
    await queue('second', 'free', 'front', { w: await nowMs(), d: '1', p: '3', q: 'x', later: 'unknown' });
    await entry('work', { m: message('free', 'lean', 0) });
    await entry('front', { m: message('free', 'moved', 0), g: await generation(), d: '2', o: '3', later: 'unknown' });
    await stage.finish(tasks);
    expect(runs.sort()).toEqual(['first 1', 'lean 1', 'moved 1', 'second 1']);
    const execution = await stage.docket().getExecution('first');
    expect(execution).toMatchObject({ state: 'completed', task: 'free', attempt: 1, key: 'first' });
    expect(await execution!.result()).toBe(7);
  });

  test('an execution is shown as its record says, in every state', async () => {
    const docket = stage.docket();
    const [now, placed] = [await nowMs(), await generation()];
    const token = await queue('queued', 'free');
    await park('scheduled', 'free', now + HOUR_MS, { pd: '2' });
    const common = { g: placed, e: token, t: 'free', k: 'worker', b: now - 500 };
    const progress = { i: '3', j: '1', o: '10', u: 'at it', v: now };
    await hash('run:running', { ...common, ...progress, s: 'running', a: '2', w: now - 900 });
    const ended = { ...common, e: '', c: now };
    await hash('run:completed', { ...ended, s: 'completed', r: packr.pack('done') });
    await hash('run:failed', { ...ended, s: 'failed', y: 'it broke' });
    await hash('run:waiting', { g: placed, e: '', t: 'one', s: 'queued', m: message('one'), l: 'one', n: 'one 1' });

    const read = (key: string) => docket.getExecution(key);
    expect(await read('queued')).toMatchObject({ state: 'queued', attempt: 1, worker: null, startedAt: null });
    expect(await read('scheduled')).toMatchObject({ state: 'scheduled', when: new Date(now + HOUR_MS) });
    const running = await read('running');
    expect(running).toMatchObject({ state: 'running', attempt: 2, worker: 'worker', startedAt: new Date(now - 500) });
    expect(running).toMatchObject({ when: new Date(now - 900) });
    expect(running!.progress).toMatchObject({ current: 4, total: 10, message: 'at it', updatedAt: new Date(now) });
    const completed = await read('completed');
    expect(completed).toMatchObject({ state: 'completed', completedAt: new Date(now) });
    expect(completed).toMatchObject({ when: new Date(Math.floor(Number(placed) / 1_000)) });
    expect(await completed!.result()).toBe('done');
    expect(await read('failed')).toMatchObject({ state: 'failed', error: 'it broke' });
    expect(await read('waiting')).toMatchObject({ state: 'queued', waitingFor: 'one' });

    const redis = await stage.redis();
    await redis.del(...['running', 'completed', 'failed', 'waiting'].map((key) => stage.key(`run:${key}`)));
  });

  test('an execution that is due leaves the schedule with all its fields, even those that are not known here', async () => {
    const redis = await stage.redis();
    const tasks = noting();
    const due = (await nowMs()) - 1_000;
    await park('k1', 'free', due, { pd: '2', pc: '1', pp: '4', po: '3', pq: 'x', pu: '1 y', plater: 'unknown' });
    await parkLean('l1', 'free', due, { pd: '1', plater: 'unknown' });
    const { pg } = await fieldsOf('parked:l1');
    expect((await moveDue(redis, keysOf(stage.name))).count).toBe(2);

    const moved = (await entriesOf('work')).sort((a, b) => (a.fields.k ? -1 : 1) - (b.fields.k ? -1 : 1));
    const w = String(due);
    expect(moved.map(({ fields }) => fields)).toEqual([
      { k: 'k1', w, d: '2', c: '1', p: '4', o: '3', q: 'x', u: '1 y', later: 'unknown' },
      { w, d: '1', g: pg, later: 'unknown' },
    ]);
    const { g, ...record } = await fieldsOf('run:k1');
    expect(record).toEqual({ s: 'queued', e: `w${moved[0]!.id}`, t: 'free', w });
    expect(await redis.exists(stage.key('parked:l1'))).toBe(0);
    await stage.finish(tasks);
    expect(runs.sort()).toEqual(['k1 1', 'l1 1']);
  });

  test('a delivery of a lost worker is redelivered with all its fields, and counts its progress anew', async () => {
    const redis = await stage.redis();
    const tasks = noting();
    const recorded = await queue('k1', 'free', 'work', { d: '3', later: 'unknown' });
    const lean = await entry('front', { m: message('free', 'l1', 0), later: 'unknown' });
    await readBy('dead:1');
    const aloneMark = ['RETRYCOUNT', 1_000_000, 'JUSTID'] as const; // which has it charged
    await redis.xclaim(stage.key('work'), 'workers', 'dead:1', 0, recorded.slice(1), ...aloneMark);
    await hash('run:k1', { s: 'running', k: 'dead', b: await nowMs(), i: '3', o: '10', v: await nowMs() });
    const tokens = new Set([recorded, lean]);
    await waitFor(async () => {
      await redeliver(redis, keysOf(stage.name), 1, [...tokens]);
      return (
        (await redis.xlen(stage.key('work'))) === 0 &&
        (await redis.xrange(stage.key('front'), lean.slice(1), lean.slice(1))).length === 0
      );
    });

    const [first, second] = (await entriesOf('front')).sort((a) => (a.fields.k ? -1 : 1));
    expect(first!.fields).toEqual({ k: 'k1', w: recorded.slice(1, 14), d: '4', c: '1', o: '3', later: 'unknown' });
    const since = { w: lean.slice(1, 14), g: lean.slice(1) };
    expect(second!.fields).toEqual({ ...since, d: '1', o: '3', later: 'unknown' });
    const { g, b, ...record } = await fieldsOf('run:k1');
    expect(record).toEqual({ s: 'queued', e: `f${first!.id}`, t: 'free', k: 'dead' });
    await stage.finish(tasks);
    expect(runs.sort()).toEqual(['k1 1', 'l1 1']);
  });

  test('waiters at a limit get the permits of an entry that ends, with all their fields', async () => {
    const redis = await stage.redis();
    const tasks = noting();
    const holder = await queue('holder', 'one', 'front', { h: '1' });
    await hash('slots', { [holder]: 'one 1' });
    await hash('held', { one: '1' });
    await hash('waiting', { one: '1' });
    const g = await generation();
    const parked = { w: await nowMs(), l: 'one', n: 'one 1', po: '3', plater: 'unknown' };
    await hash('run:k1', { s: 'queued', g, e: '', t: 'one', m: message('one'), ...parked });
    await hash('parked:l1', { m: message('one', 'l1', 0), pg: g, ...parked });
    await redis.zadd(stage.key('limit:one'), g, 'kk1', String(Number(g) + 1), 'll1');

    expect((await stage.docket().snapshot()).waiting.map(({ key }) => key)).toEqual(['k1', 'l1']);
    await stage.finish(tasks);
    expect(runs).toEqual(['holder 1', 'k1 1', 'l1 1']);
    expect(await stage.keys()).not.toContain('slots');
    expect(await stage.keys()).not.toContain('limit:one');
  });

  test('a winner of a debounce, a booking and a start under a rate are taken for what they are', async () => {
    const redis = await stage.redis();
    const tasks = noting();
    const due = (await nowMs()) - 1;
    // Two submissions of a debounce, of which the second is its winner.
    await park('winner', 'settled', due, { po: '1', pq: 'settled' });
    await hash('debounce:settled', { winner: 'kwinner', ticket: `${due}000`, ttl: '60000' });
    // Two attempts under a rate: one has started, and another has a booking for now.
    await park('booked', 'rated', due, { po: '3', pu: '1 rated' });
    const { g } = await fieldsOf('run:booked');
    await redis.zadd(stage.key('rate:rated'), due - 10, 'kother 1 1', due, `kbooked ${g} 1`);
    await redis.pexpire(stage.key('rate:rated'), HOUR_MS);
    await queue('late', 'rated');

    const worker = stage.work(tasks);
    await waitFor(() => runs.length === 2);
    await waitFor(async () => (await fieldsOf('run:late')).s === 'scheduled');
    await worker.close();
    expect(runs.sort()).toEqual(['booked 1', 'winner 1']);
    expect(await redis.exists(stage.key('debounce:settled'))).toBe(0);
    const late = await fieldsOf('run:late');
    expect(late).toMatchObject({ po: '3', pu: '1 rated', e: '' });
    await stage.docket().cancel('late');
    expect(await redis.zcard(stage.key('rate:rated'))).toBe(2);
  });

  test('cancels and superseded tokens take effect', async () => {
    const redis = await stage.redis();
    const tasks = noting();
    await redis.zadd(stage.key('cancelled'), (await nowMs()) + HOUR_MS, 'l1');
    await redis.pexpire(stage.key('cancelled'), HOUR_MS);
    await entry('work', { m: message('free', 'l1', 0) });
    await entry('work', { m: message('free', 'l2', 0) });
    const cancelled = await queue('k1', 'free');
    await readBy('dead:1');
    await hash('run:k1', { s: 'running', k: 'dead', b: await nowMs(), z: '1' });
    const superseded = await queue('k2', 'free');
    await hash('run:k2', { e: 'f1-1' });
    await redis.sadd(stage.key('superseded'), superseded);
    await redis.pexpire(stage.key('superseded'), HOUR_MS);
    // The lean ones were read by the lost worker too.
    const lean = (await entriesOf('work')).slice(0, 2).map(({ id }): Token => `w${id}`);
    await waitFor(async () => {
      await redeliver(redis, keysOf(stage.name), 1, [cancelled, ...lean]);
      return (await redis.xlen(stage.key('work'))) === 1;
    });
    expect(await fieldsOf('run:k1')).toMatchObject({ s: 'cancelled' });

    const worker = stage.work(tasks);
    await waitFor(async () => runs.length === 1 && (await redis.xlen(stage.key('work'))) === 0);
    await waitFor(async () => (await redis.xlen(stage.key('front'))) === 0);
    await worker.close();
    expect(runs).toEqual(['l2 1']);
    expect(await redis.exists(stage.key('superseded'))).toBe(0);
    await redis.del(stage.key('run:k2'));
  });

  test('docket writes the letters that other versions read', async () => {
    const redis = await stage.redis();
    const docket = stage.docket();
    const lean = stage.docket({ executionTtl: 0 });
    const broken = task('broken', { retry: retry({ attempts: 2, delay: '1h' }) }, () => {
      throw new Error('not yet');
    });
    const { free } = noting();
    await docket.add(free, { value: 1 }, { key: 'k1' });
    const [queued] = await entriesOf('work');
    expect(queued!.fields).toEqual({ k: 'k1' });
    const { g, ...record } = await fieldsOf('run:k1');
    expect(record).toEqual({ s: 'queued', e: `w${queued!.id}`, t: 'free' });
    expect(Number(g)).toBeGreaterThan(1e15);

    const { key: id } = await lean.add(free, {}, { when: '1h' });
    expect(Object.keys(await fieldsOf(`parked:${id}`)).sort()).toEqual(['m', 'pg', 'w']);
    const later = await docket.add(free, {}, { key: 'k2', when: '2h' });
    const dueMs = later.when.getTime();
    const scheduled = await fieldsOf('run:k2');
    expect(scheduled).toMatchObject({ s: 'scheduled', e: '', t: 'free', w: String(dueMs) });
    expect(Object.keys(scheduled).sort()).toEqual(['e', 'g', 'm', 's', 't', 'w']);
    expect(await redis.zrange(stage.key('schedule'), '0', '-1')).toEqual([`l${id}`, 'kk2']);

    await docket.add(broken, {}, { key: 'k3' });
    const worker = stage.work({ free, broken });
    await waitFor(async () => (await fieldsOf('run:k3')).s === 'scheduled');
    await waitFor(async () => (await fieldsOf('run:k1')).s === 'completed');
    await worker.close();
    expect(Object.keys(await fieldsOf('run:k1')).sort()).toEqual(['b', 'c', 'e', 'g', 'k', 'r', 's', 't']);
    const retrying = await fieldsOf('run:k3');
    expect(Object.keys(retrying).sort()).toEqual(['b', 'e', 'g', 'h', 'k', 'm', 'po', 's', 't', 'w']);
    expect(retrying.po).toBe('2');
    expect(retrying.h).toMatch(/^1\t\d{13}\t\d{13}\t[^\t]+\tError: not yet$/);
  });

  test('a failure is listed and runs again, under its key or its id', async () => {
    const tasks = noting();
    const redis = await stage.redis();
    const docket = stage.docket();
    const retried = packr.pack([1, 'free', 60_000, 300, null, null, { value: 7 }]);
    const common = { error: '', name: 'TypeError', line: 'TypeError: no', attempts: 300, deliveries: '', worker: 'w' };
    const times = { thread: 3, added: 1_700_000_000_000, started: 1_700_000_001_000 };
    for (const fields of [
      { kind: 'failed', key: 'k', lean: '', task: 'free', message: retried, ...common, ...times },
      { kind: 'failed', key: 'id', lean: 1, task: 'free', message: message('free', 'id', 0), ...common, ...times },
    ]) {
      await redis.xadd(stage.key('failures'), '*', ...Object.entries(fields).flat());
    }
    await redis.pexpire(stage.key('failures'), 60_000);
    const [lean, recorded] = await collect(docket.failures());
    expect(lean).toMatchObject({ key: 'id', task: 'free' });
    expect(recorded).toMatchObject({
      ...{ key: 'k', kind: 'failed', errorName: 'TypeError', errorLine: 'TypeError: no', error: null, attempts: 300 },
      ...{ deliveries: 0, worker: 'w', thread: 3, addedAt: new Date(times.added), startedAt: new Date(times.started) },
    });
    expect((await docket.retry({})).retried).toHaveLength(2);
    await stage.finish(tasks);
    expect(runs).toEqual(['k 1', 'id 1']);
  });
});
