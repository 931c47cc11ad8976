/**
 * Permits and places, script by script: nobody is there who has no right to be, nobody waits who could run, and nothing is left
 * when all have gone. Driven with consumers that exist by name only.
 */
import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import type { AdmissionCheck, AdmissionRequest, AdmissionResult } from '../../../src/redis/admission-store.js';
import type { Settlement, Token } from '../../../src/redis/delivery-store.js';
import type { Entry } from '../../../src/redis/entry.js';
import type { Keys } from '../../../src/redis/keys.js';
import { type AdmissionStage, BATCH_ITEMS, VAIN_WAKES } from '../../../src/redis/schema.js';
import type { Delivery, DeliveryPipeline } from '../../../src/worker/delivery.js';
import { closeConnection, importBuilt, openConnection } from '../../support/built.js';
import { openFleet } from '../../support/fleet.js';
import { nextMillisecond } from '../../support/next-millisecond.js';
import { describeEachServer, describeOnAnyServer } from '../../support/suites.js';
import { waitFor } from '../../support/wait.js';

const { admit } = await importBuilt<typeof import('../../../src/redis/admission-store.js')>('redis/admission-store.js');
const { ensureGroups, redeliver, settle } =
  await importBuilt<typeof import('../../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { beginSweep } = await importBuilt<typeof import('../../../src/redis/sweep-store.js')>('redis/sweep-store.js');
const { keysOf } = await importBuilt<typeof import('../../../src/redis/keys.js')>('redis/keys.js');
const { moveDue } = await importBuilt<typeof import('../../../src/redis/schedule-store.js')>('redis/schedule-store.js');
const { readEntries } =
  await importBuilt<typeof import('../../../src/redis/stream-reader.js')>('redis/stream-reader.js');
const { deliveryOf, keyOf, ticketOf } =
  await importBuilt<typeof import('../../../src/worker/delivery.js')>('worker/delivery.js');

/** A docket, and what a worker does with it one step at a time. */
interface Bench {
  readonly redis: Redis;
  readonly keys: Keys;
  /** Adds one execution of the task `noop`; without a key it has no record. Answers with its key or id. */
  add(key?: string): Promise<string>;
  read(count?: number): Promise<Delivery[]>;
  apply(deliveries: readonly Delivery[], checksOf: ChecksOf): Promise<(AdmissionResult | null)[]>;
  settle(settlements: readonly Settlement[]): Promise<number>;
  /** Gives away what is pending, however short its owner was silent. */
  passOn(tokens: readonly Token[]): Promise<void>;
  cancel(key: string): Promise<void>;
  /** Moves what is due, and serves limits that a script left over. */
  move(): Promise<void>;
  /** What the docket has beside what it always has. */
  left(): Promise<string[]>;
  /** Whether there is nothing more to do. */
  isEmpty(): Promise<boolean>;
}

type ChecksOf = (delivery: Delivery) => readonly AdmissionCheck[];

async function openBench(url: string): Promise<Bench> {
  const fleet = await openFleet(url);
  fleet.leavesWork();
  const { redis } = fleet;
  const keys = keysOf(fleet.name);
  const lean = fleet.with({ executionTtl: 0 });
  const blocking = await openConnection(url, 'blocking', { longestBlockMs: 100 });
  onTestFinished(() => closeConnection(blocking));
  await ensureGroups(redis, keys);
  const left = async () => {
    const permanent = ['work', 'front', 'high', 'low', 'generation', 'workers'].map((suffix) => keys.prefix + suffix);
    const found = await redis.keys(`${keys.prefix}*`);
    const isLasting = await Promise.all(found.map(async (key) => (await redis.pttl(key)) === -1));
    return found.filter((key, i) => !permanent.includes(key) && isLasting[i]);
  };
  return {
    redis,
    keys,
    left,
    isEmpty: async () =>
      (await redis.xlen(keys.work)) + (await redis.xlen(keys.front)) === 0 && (await left()).length === 0,
    add: async (key) => (key === undefined ? await lean.add('noop') : await fleet.docket.add('noop', {}, { key })).key,
    async read(count = 100) {
      // Without BLOCK there is no wait for what does not come.
      const entries: Entry[] = await readEntries(blocking, keys, { consumer: 'me', count, blockMs: 1 });
      return entries.map((entry) => deliveryOf(entry, () => ({}), {} as DeliveryPipeline));
    },
    apply: (deliveries, checksOf) =>
      admit(redis, keys, { worker: 'me', consumer: 'me' }, deliveries.map(applicant(checksOf))),
    settle: async (settlements) => (await settle(redis, keys, settlements)).fenced.length,
    async passOn(tokens) {
      const left = new Set(tokens);
      await waitFor(async () => {
        await redeliver(redis, keys, 1, [...left]);
        for (const token of left) {
          const stream = token[0] === 'w' ? keys.work : keys.front;
          const id = token.slice(1);
          if ((await redis.xrange(stream, id, id)).length === 0) left.delete(token);
        }
        return left.size === 0;
      });
    },
    cancel: async (key) => {
      await fleet.docket.cancel(key);
    },
    async move() {
      while ((await moveDue(redis, keys)).nextInMs === 0);
    },
  };
}

const applicant =
  (checksOf: ChecksOf) =>
  (delivery: Delivery): AdmissionRequest => {
    const { record, token, envelope, admissionStage, holdsPermits, hasBooking } = delivery;
    const id = record === null ? keyOf(delivery) : '';
    const { attempt, ttlMs } = envelope;
    const [ticket, checks] = [ticketOf(delivery), checksOf(delivery)];
    return { record, token, attempt, ttlMs, ticket, id, admissionStage, holdsPermits, hasBooking, checks };
  };

/** Begins a sweep, however short the last one was ago. */
async function lookAtPermits({ redis, keys }: Bench): Promise<void> {
  await redis.del(keys.sweeper);
  await beginSweep(redis, keys, { pauseMs: 60_000, cursor: '0' });
}

function completed(delivery: Delivery): Settlement {
  const { token, record } = delivery;
  if (record === null) return { kind: 'unrecorded', token };
  const nothing = { result: null, error: null, errorLine: '', endsChainOf: '', message: null };
  return { kind: 'ended', token, record, ttlMs: 60_000, state: 'completed', ...nothing };
}

function again(
  delivery: Delivery,
  to: 'work' | 'front' | number = 'work',
  admissionStage: AdmissionStage = 'attempt-admitted',
): Settlement {
  const { token, deliveries, charges, reroutes } = delivery;
  const where = typeof to === 'number' ? { delayMs: to } : { stream: to };
  const counts = { deliveries, charges, reroutes };
  const same = { message: null, keepsDue: true, admissionStage, id: keyOf(delivery), ttlMs: 60_000 };
  return { kind: 'moved', token, to: where, ...counts, ...same };
}

const permit = (key: string, max = 1): AdmissionCheck => ({ kind: 'permit', key, max });

describeEachServer('permits', (url) => {
  const LIMITS = ['A', 'B', 'C', 'D'] as const;

  type Step =
    | { readonly do: 'add'; readonly stack: readonly number[]; readonly isLean: boolean }
    | { readonly do: 'read' | 'apply' | 'move' | 'sweep'; readonly count: number }
    | { readonly do: 'finish' | 'retry' | 'delay' | 'lose' | 'cancel' | 'stale' | 'repeat'; readonly pick: number };

  const stack = fc.uniqueArray(fc.nat(LIMITS.length - 1), { minLength: 1, maxLength: 3 });
  const added = fc.record({ do: fc.constant('add' as const), stack, isLean: fc.boolean() });
  const counted = fc.record({
    do: fc.constantFrom('read' as const, 'apply' as const, 'apply' as const, 'move' as const, 'sweep' as const),
    count: fc.integer({ min: 1, max: 6 }),
  });
  const picked = fc.record({
    do: fc.constantFrom(...(['finish', 'finish', 'retry', 'delay', 'lose', 'cancel', 'stale', 'repeat'] as const)),
    pick: fc.nat(1_000),
  });
  const step: fc.Arbitrary<Step> = fc.oneof(
    { arbitrary: added, weight: 4 },
    { arbitrary: counted, weight: 4 },
    { arbitrary: picked, weight: 4 },
  );

  test('of up to three limits each are never exceeded, never held in vain, and all released', {
    timeout: 60_000,
  }, async () => {
    const isEmbedded = url().startsWith('memory:');
    const bench = await openBench(url());
    let serial = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(...LIMITS.map(() => fc.integer({ min: 1, max: 2 }))),
        fc.array(step, { minLength: 20, maxLength: 60 }),
        async (maxima, steps) => {
          serial += 1;
          await play(bench, `r${serial}-`, maxima, steps);
        },
      ),
      { numRuns: isEmbedded ? 8 : 30, endOnFailure: true },
    );
  });

  /** Plays the steps, then finishes whatever there is. */
  async function play(bench: Bench, prefix: string, maxima: readonly number[], steps: readonly Step[]): Promise<void> {
    const stacks = new Map<string, readonly AdmissionCheck[]>();
    const unread: Delivery[] = [];
    const running: Delivery[] = [];
    const gone: Delivery[] = [];
    const over = new Set<string>();
    const checksOf = (delivery: Delivery) => stacks.get(keyOf(delivery))!;
    const maxOf = new Map(LIMITS.map((limit, i) => [`${prefix}${limit}`, maxima[i]!]));
    const pickFrom = (list: Delivery[], pick: number) => list.splice(pick % list.length, 1)[0]!;

    async function apply(count: number): Promise<void> {
      const batch = unread.splice(0, count);
      if (batch.length === 0) return;
      const verdicts = await bench.apply(batch, checksOf);
      batch.forEach((delivery, i) => {
        if (verdicts[i] === null) running.push(delivery);
        else {
          expect(['parked', 'refused'], keyOf(delivery)).toContain(verdicts[i]);
          if (verdicts[i] === 'refused') expect(over, 'refused').toContain(keyOf(delivery));
          gone.push(delivery);
        }
      });
    }

    async function end(delivery: Delivery, settlement: Settlement): Promise<void> {
      const fenced = await bench.settle([settlement]);
      gone.push(delivery);
      if (fenced > 0)
        expect(over).toContain(keyOf(delivery)); // only a cancel takes it from us here
      else if (settlement.kind !== 'moved') over.add(keyOf(delivery));
    }

    const doIt = async (one: Step) => {
      if (one.do === 'add') {
        const checks = [...one.stack].sort().map((i) => permit(`${prefix}${LIMITS[i]}`, maxima[i]));
        const key = await bench.add(one.isLean ? undefined : `${prefix}${stacks.size}`);
        stacks.set(key, checks);
      } else if (one.do === 'read') unread.push(...(await bench.read(one.count)));
      else if (one.do === 'apply') await apply(one.count);
      else if (one.do === 'move') await bench.move();
      else if (one.do === 'sweep') await lookAtPermits(bench);
      else if (one.do === 'cancel') {
        const key = [...stacks.keys()][one.pick % Math.max(1, stacks.size)];
        // One that runs is told, and goes on here; an id without a record that is not parked is remembered, no more.
        if (key === undefined || running.some((delivery) => keyOf(delivery) === key)) return;
        await bench.cancel(key);
        over.add(key);
      } else if (one.do === 'stale') {
        if (gone.length > 0) expect(await bench.settle([completed(pickFrom(gone, one.pick))])).toBe(1);
      } else if (one.do === 'repeat') {
        // The answer to an admission was lost: it is asked for again.
        const started = running.length;
        const batch = unread.slice(0, 4);
        await apply(4);
        const first = running.slice(started);
        const verdicts = batch.length > 0 ? await bench.apply(batch, checksOf) : [];
        expect(batch.filter((_, i) => verdicts[i] === null)).toEqual(first);
      } else if ('pick' in one && running.length > 0) {
        const delivery = pickFrom(running, one.pick);
        if (one.do === 'finish') await end(delivery, completed(delivery));
        else if (one.do === 'retry') await end(delivery, again(delivery));
        else if (one.do === 'delay') await end(delivery, again(delivery, 1));
        else {
          await bench.passOn([delivery.token]);
          gone.push(delivery);
        }
      }
    };

    for (const one of steps) {
      await doIt(one);
      await check(bench, maxOf);
    }
    for (let rounds = 0; unread.length > 0 || !(await bench.isEmpty()); rounds++) {
      expect(rounds, `left: ${await bench.left()}`).toBeLessThan(500);
      await bench.move();
      unread.push(...(await bench.read()));
      await apply(100);
      await check(bench, maxOf);
      for (const delivery of running.splice(0)) await end(delivery, completed(delivery));
      await check(bench, maxOf);
    }
    expect([...stacks.keys()].filter((key) => !over.has(key))).toEqual([]);
  }

  /** What must hold at any time. */
  async function check({ redis, keys }: Bench, maxOf: ReadonlyMap<string, number>): Promise<void> {
    const needsOf = (await redis.hgetall(`${keys.prefix}slots`)) as Record<string, string>;
    const held = (await redis.hgetall(`${keys.prefix}held`)) as Record<string, string>;
    const left = await redis.zrange(keys.wakes, '0', '-1');
    for (const [name, max] of maxOf) {
      const holders = Object.values(needsOf).filter((needs) => needs.split(' ').includes(name));
      const waiters = await redis.zrange(`${keys.prefix}limit:${name}`, '0', '-1');
      expect(holders.length, `holders of ${name}`).toBeLessThanOrEqual(max);
      expect(Number(held[name] ?? 0), `permits taken of ${name}`).toBe(holders.length);
      if (!left.includes(name)) {
        expect(waiters.length > 0 && holders.length < max, `${waiters} wait in vain at ${name}`).toBe(false);
      }
    }
    for (const token of Object.keys(needsOf)) {
      const id = token.slice(1);
      const entry = await redis.xrange(token[0] === 'w' ? keys.work : keys.front, id, id);
      expect(entry.length, `the entry of ${token}, which holds permits`).toBe(1);
    }
  }

  test('that many waiters cannot use are passed on by a scheduler when it is too much for one script', async () => {
    const bench = await openBench(url());
    const both = [permit('A'), permit('B')];
    const needs = new Map<string, AdmissionCheck[]>();
    const checksOf = (delivery: Delivery) => needs.get(keyOf(delivery))!;
    needs.set(await bench.add('a'), [permit('A')]);
    needs.set(await bench.add('b'), [permit('B')]);
    for (let i = 0; i < 50; i++) needs.set(await bench.add(i % 2 === 0 ? `k${i}` : undefined), both);
    await nextMillisecond(bench.redis);
    needs.set(await bench.add('last'), [permit('A')]);
    const all = await bench.read();
    expect((await bench.apply(all, checksOf)).filter((verdict) => verdict === null)).toHaveLength(2);
    const [a, b] = all;
    const at = (name: string) => bench.redis.zcard(`${bench.keys.prefix}limit:${name}`);
    expect([await at('A'), await at('B')]).toEqual([51, 0]);
    await bench.settle([completed(a!)]);
    expect([await at('A'), await at('B')]).toEqual([35, 16]);
    expect(await bench.redis.zrange(bench.keys.wakes, '0', '-1')).toEqual(['A']);
    await bench.move();
    expect([await at('A'), await at('B')]).toEqual([0, 50]);
    expect((await bench.read()).map(keyOf)).toEqual(['last']);
    await bench.settle([completed(b!)]);
    // The first of them needs A too, which `last` has: all of them wait there again, in their old order.
    while ((await at('B')) > 0) await bench.move();
    expect(await at('A')).toBe(50);
    const order = (await bench.redis.zrange(`${bench.keys.prefix}limit:A`, '0', '-1')).map((member) => member.slice(1));
    const added = [...needs.keys()].slice(2, 52);
    // For the same reason those with a record and those without keep their order among themselves.
    for (const isOne of [(key: string) => key.startsWith('k'), (key: string) => !key.startsWith('k')]) {
      expect(order.filter(isOne)).toEqual(added.filter(isOne));
    }
  });

  test('are not taken by others while those who wait for them are left to a scheduler, which is woken', async () => {
    const bench = await openBench(url());
    const subscriber = await openConnection(url(), 'commands');
    onTestFinished(() => closeConnection(subscriber));
    const heard: string[] = [];
    subscriber.on('message', (_, message) => heard.push(String(message)));
    await subscriber.subscribe(`${bench.keys.prefix}wake`);
    const needs: Record<string, AdmissionCheck[]> = { a: [permit('A')], b: [permit('B')] };
    const checksOf = (delivery: Delivery) => needs[keyOf(delivery)] ?? [permit('A'), permit('B')];
    for (const key of ['a', 'b', ...Array.from({ length: VAIN_WAKES + 1 }, (_, i) => `both${i}`)]) await bench.add(key);
    const [a, b, ...both] = await bench.read();
    expect(await bench.apply([a!, b!], checksOf)).toEqual([null, null]);
    expect(await bench.apply(both, checksOf)).toEqual(both.map(() => 'parked'));
    expect(heard).toEqual([]);
    await bench.settle([completed(a!)]); // those who wait for it need the other one, too
    expect(await bench.redis.zrange(bench.keys.wakes, '0', '-1')).toEqual(['A']);
    await waitFor(() => heard.length === 1);
    needs.late = [permit('A')];
    await bench.add('late');
    expect(await bench.apply(await bench.read(), checksOf)).toEqual(['parked']);
    await bench.move();
    expect((await bench.read()).map(keyOf)).toEqual(['late']);
  });

  test('are counted anew by a sweep that sees all of them, and free ones go to those who wait', async () => {
    const bench = await openBench(url());
    const checksOf = () => [permit('A')];
    await bench.redis.hset(`${bench.keys.prefix}held`, 'A', 1); // nobody has it
    await bench.add('k');
    expect(await bench.apply(await bench.read(), checksOf)).toEqual(['parked']);
    await lookAtPermits(bench);
    const [woken] = await bench.read();
    expect(woken!.holdsPermits).toBe(true);
    await bench.settle([completed(woken!)]);
    expect(await bench.left()).toEqual([]);
  });

  test('of a redelivered execution belong to its successor: a late settle releases nothing', async () => {
    const bench = await openBench(url());
    const checksOf = () => [permit('A')];
    for (const key of ['held', 'waits']) await bench.add(key);
    await nextMillisecond(bench.redis);
    await bench.add();
    const [stale, ...others] = await bench.read();
    expect(await bench.apply([stale!, ...others], checksOf)).toEqual([null, 'parked', 'parked']);
    await bench.passOn([stale!.token]);
    // The permit went to the next in line; the one that was lost comes again, and waits first of all.
    const [next, fresh] = await bench.read();
    expect([keyOf(next!), keyOf(fresh!)].sort()).toEqual(['held', 'waits']);
    const [woken, lost] = next!.holdsPermits ? [next!, fresh!] : [fresh!, next!];
    expect(keyOf(woken)).toBe('waits');
    expect(await bench.apply([woken, lost], checksOf)).toEqual([null, 'parked']);
    expect(await bench.settle([completed(stale!)])).toBe(1);
    expect(await bench.redis.hgetall(`${bench.keys.prefix}slots`)).toEqual({ [woken.token]: 'A 1' });
    await bench.settle([completed(woken)]);
    const [again] = await bench.read();
    expect(keyOf(again!)).toBe('held');
    await bench.settle([completed(again!)]);
    const [last] = await bench.read();
    expect(last!.record).toBeNull();
    await bench.settle([completed(last!)]);
    expect(await bench.left()).toEqual([]);
  });

  test('are not waited for by an execution whose entry was deleted by hand', async () => {
    const bench = await openBench(url());
    const checksOf = () => [permit('A')];
    for (const key of ['holder', 'gone']) await bench.add(key);
    const [holder, gone] = await bench.read();
    expect(await bench.apply([holder!], checksOf)).toEqual([null]);
    await bench.redis.xdel(bench.keys.work, gone!.token.slice(1));
    expect(await bench.apply([gone!], checksOf)).toEqual(['refused']);
  });

  test('are waited for by an execution although the one behind it meets an error', async () => {
    const bench = await openBench(url());
    const checksOf = () => [permit('A')];
    for (const key of ['holder', 'waits', 'bad']) await bench.add(key);
    const [holder, waits, bad] = await bench.read();
    expect(await bench.apply([holder!], checksOf)).toEqual([null]);
    await bench.redis.del(bench.keys.record('bad'));
    await bench.redis.set(bench.keys.record('bad'), 'no record', 'EX', 600);
    expect(await bench.apply([waits!, bad!], checksOf)).toEqual(['parked', 'failed']);
    expect(await bench.redis.exists(bench.keys.failures)).toBe(0);
    await bench.settle([completed(holder!)]);
    const [woken] = await bench.read();
    expect(keyOf(woken!)).toBe('waits');
    await bench.settle([completed(woken!)]);
  });

  test('go with the entry of an execution whose key was replaced while the answer to its admission was lost', async () => {
    const bench = await openBench(url());
    const checksOf = () => [permit('A')];
    await bench.add('k');
    const [first] = await bench.read();
    expect(await bench.apply([first!], checksOf)).toEqual([null]); // the answer is lost
    await bench.redis.hset(bench.keys.record('k'), { s: 'queued', g: '1', e: 'w9-9' });
    await bench.redis.sadd(bench.keys.superseded, first!.token);
    expect(await bench.apply([first!], checksOf)).toEqual(['refused']);
    expect(await bench.redis.xlen(bench.keys.work)).toBe(0);
    expect(await bench.redis.exists(bench.keys.permits, bench.keys.superseded)).toBe(0);
    expect(await bench.redis.hgetall(bench.keys.record('k'))).toMatchObject({ s: 'queued', e: 'w9-9' });
  });

  test('that came with the entry of a woken waiter are lost with it: it passes its limits again', async () => {
    const bench = await openBench(url());
    const checksOf = () => [permit('A')];
    for (const key of ['holder', 'woken']) await bench.add(key);
    const [holder, waiter] = await bench.read();
    expect(await bench.apply([holder!, waiter!], checksOf)).toEqual([null, 'parked']);
    await bench.settle([completed(holder!)]);
    const [woken] = await bench.read();
    expect(woken!.holdsPermits).toBe(true);
    await bench.passOn([woken!.token]);
    expect(await bench.redis.exists(bench.keys.permits)).toBe(0);
    const [again] = await bench.read();
    expect(again!.holdsPermits).toBe(false);
    expect(await bench.apply([again!], checksOf)).toEqual([null]);
    expect(await bench.redis.hgetall(bench.keys.permits)).toEqual({ [again!.token]: 'A 1' });
    await bench.settle([completed(again!)]);
  });

  test.each([
    ['have lost their place', ['n', 'l', 'm'], 0],
    ['have lost their messages', ['m'], VAIN_WAKES + 2],
  ] as const)(
    'go past waiters that %s, a bounded number at a time, and reach the next',
    async (_, fields, scheduled) => {
      const bench = await openBench(url());
      const checksOf = () => [permit('A')];
      const stale = Array.from({ length: VAIN_WAKES + 2 }, (_, i) => `stale${i}`);
      for (const key of ['holder', ...stale, 'next']) await bench.add(key);
      const [holder, ...waiters] = await bench.read();
      expect(await bench.apply([holder!, ...waiters], checksOf)).toEqual([null, ...waiters.map(() => 'parked')]);
      for (const key of stale) await bench.redis.hdel(bench.keys.record(key), ...fields);
      await bench.settle([completed(holder!)]);
      expect(await bench.redis.zcard(`${bench.keys.prefix}limit:A`)).toBe(3);
      const { count } = await moveDue(bench.redis, bench.keys);
      await bench.move();
      expect((await bench.read()).map(keyOf)).toEqual(['next']);
      // Those without a message end as failures; a sweep looks for those that have no other place.
      expect(count).toBe(Math.min(scheduled, VAIN_WAKES));
      expect(await bench.redis.zcard(bench.keys.schedule)).toBe(0);
      await bench.redis.del(...stale.map((key) => bench.keys.record(key)));
    },
  );

  test('are handed on to the entry of a requeued execution, and to it alone', async () => {
    const bench = await openBench(url());
    const checksOf = () => [permit('A')];
    await bench.add('k');
    const [first] = await bench.read();
    expect(await bench.apply([first!], checksOf)).toEqual([null]);
    await bench.settle([again(first!, 'front')]);
    const [second] = await bench.read();
    expect(second!.holdsPermits).toBe(true);
    expect(await bench.redis.hgetall(bench.keys.permits)).toEqual({ [second!.token]: 'A 1' });
    await bench.settle([completed(second!)]);
    expect(await bench.left()).toEqual([]);
  });

  test('are released once, also if the same settlement is written twice', async () => {
    const bench = await openBench(url());
    for (const key of ['a', 'b']) await bench.add(key);
    const [a, b] = await bench.read();
    expect(await bench.apply([a!, b!], () => [permit('A', 2)])).toEqual([null, null]);
    expect(await bench.settle([completed(a!), completed(a!)])).toBe(1);
    expect(await bench.redis.hgetall(`${bench.keys.prefix}held`)).toEqual({ A: '1' });
    await bench.settle([completed(b!)]);
    expect(await bench.left()).toEqual([]);
  });

  test('whose entries have vanished are released by the sweep', async () => {
    const bench = await openBench(url());
    const checksOf = () => [permit('A', 2)];
    for (let i = 0; i < 4; i++) await bench.add();
    const all = await bench.read();
    expect(await bench.apply(all, checksOf)).toEqual([null, null, 'parked', 'parked']);
    await bench.redis.del(bench.keys.work);
    await lookAtPermits(bench);
    await ensureGroups(bench.redis, bench.keys);
    const woken = await bench.read();
    expect(woken.map(({ holdsPermits }) => holdsPermits)).toEqual([true, true]);
    expect(await bench.apply(woken, checksOf)).toEqual([null, null]);
    await bench.settle(woken.map(completed));
    expect(await bench.left()).toEqual([]);
  });

  test('of many vanished entries are released by one sweep after the other, page by page', async () => {
    const bench = await openBench(url());
    const orphans = Array.from({ length: 1_000 }, (_, i) => [`w1-${i}`, 'A 1000']);
    await bench.redis.hset(bench.keys.permits, Object.fromEntries(orphans));
    await bench.redis.hset(`${bench.keys.prefix}held`, 'A', 1_000);
    let cursor = '0';
    let sweeps = 0;
    do {
      await bench.redis.del(bench.keys.sweeper);
      cursor = (await beginSweep(bench.redis, bench.keys, { pauseMs: 60_000, cursor }))!.cursor;
      sweeps++;
    } while (cursor !== '0');
    expect(sweeps).toBeGreaterThan(1);
    expect(await bench.redis.exists(bench.keys.permits, `${bench.keys.prefix}held`)).toBe(0);
  });
});

describeOnAnyServer('a rate limit', (url) => {
  const perMs = 10_000;
  const rate = (max: number, onExceeded: 'delay' | 'drop' = 'delay'): AdmissionCheck => ({
    ...{ kind: 'rate', key: 'R', max, perMs, onExceeded },
  });
  const booked = async ({ redis, keys }: Bench) => {
    const sets = ['rate:R', 'booked:R'].map((suffix) => redis.zrange(keys.prefix + suffix, '0', '-1', 'WITHSCORES'));
    return (await Promise.all(sets)).flat().flatMap((text, i) => (i % 2 === 1 ? Number(text) : []));
  };
  /** Lets time pass for the rate: makes its starts, its bookings and the schedule `ms` older. */
  const age = ({ redis, keys }: Bench, ms: number) =>
    redis.eval(
      `for _, key in ipairs(KEYS) do
         for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, -ARGV[1], member) end
       end`,
      3,
      ...['rate:R', 'booked:R', 'schedule'].map((suffix) => keys.prefix + suffix),
      ms,
    );
  /** Adds this many executions, alternately with and without a record, in different milliseconds. */
  const addMany = async (bench: Bench, count: number) => {
    const keys: string[] = [];
    for (let i = 0; i < count; i++) {
      keys.push(await bench.add(i % 2 === 0 ? `k${i}` : undefined));
      await nextMillisecond(bench.redis);
    }
    return keys;
  };
  /** Executions on the schedule, in order. */
  const scheduled = async ({ redis, keys }: Bench) =>
    (await redis.zrange(keys.schedule, '0', '-1')).map((member) => member.slice(1));

  test.each([1, 3])('of %i books starts in order of arrival, so that no window has more', async (max) => {
    const bench = await openBench(url());
    const keys: string[] = [];
    for (let i = 0; i < 20; i++) keys.push(await bench.add(i % 2 === 0 ? `k${i}` : undefined));
    const verdicts: (AdmissionResult | null)[] = [];
    for (const delivery of await bench.read()) verdicts.push(...(await bench.apply([delivery], () => [rate(max)])));
    expect(verdicts).toEqual(keys.map((_, i) => (i < max ? null : 'parked')));
    const times = await booked(bench);
    expect(times).toHaveLength(20);
    for (let i = max; i < times.length; i++) expect(times[i]! - times[i - max]!).toBeGreaterThanOrEqual(perMs);
    expect(times.at(-1)! - times[0]!).toBeLessThan((20 / max) * perMs + 5_000); // and no place is left empty
    const due = await Promise.all(
      keys.slice(max).map(async (key) => {
        const member = `${key.startsWith('k') ? 'k' : 'l'}${key}`;
        return Number(await bench.redis.zscore(bench.keys.schedule, member));
      }),
    );
    expect(due).toEqual(times.slice(max));
  });

  test('counts executions that come late when they start, and keeps their order, also before new ones', async () => {
    const bench = await openBench(url());
    const keys = await addMany(bench, 12);
    await bench.apply(await bench.read(), () => [rate(2)]);
    await age(bench, 100 * perMs);
    keys.push(await bench.add('new')); // on the stream before those that are due
    await bench.move();
    const late = await bench.read();
    expect(keyOf(late[0]!)).toBe('new');
    expect(await bench.apply(late, () => [rate(2)])).toEqual(
      late.map((_, i) => (i === 1 || i === 2 ? null : 'parked')),
    );
    const order = [...keys.slice(0, 2), ...late.slice(1, 3).map(keyOf)];
    for (let round = 0; order.length < keys.length && round < 20; round++) {
      await age(bench, perMs + 100);
      await bench.move();
      const due = await bench.read();
      const results = await bench.apply(due, () => [rate(2)]);
      const started = due.filter((_, i) => results[i] === null);
      expect(started.length).toBeLessThanOrEqual(2);
      order.push(...started.map(keyOf));
    }
    expect(order).toEqual(keys);
    expect(await bench.redis.exists(`${bench.keys.prefix}booked:R`)).toBe(0);
  });

  test('moves punctual executions back as far as late ones have pushed them', async () => {
    const bench = await openBench(url());
    const keys = await addMany(bench, 20);
    await bench.apply(await bench.read(), () => [rate(2)]);
    await age(bench, 4.5 * perMs); // eight are late, ten are not due yet
    const order = keys.slice(0, 2);
    for (let round = 0; order.length < keys.length && round < 60; round++) {
      await bench.move();
      const due = await bench.read();
      const results = await bench.apply(due, () => [rate(2)]);
      order.push(...due.filter((_, i) => results[i] === null).map(keyOf));
      await age(bench, perMs / 2);
    }
    expect(order).toEqual(keys);
  });

  test('counts an execution that waits for a permit when it has the permit', async () => {
    const bench = await openBench(url());
    const checksOf = () => [rate(1), permit('A')];
    await bench.add('holder');
    const [holder] = await bench.read();
    expect(await bench.apply([holder!], checksOf)).toEqual([null]);
    await age(bench, 2 * perMs);
    const keys = await addMany(bench, 4);
    const others = await bench.read();
    expect(await bench.apply(others, checksOf)).toEqual(Array(4).fill('parked'));
    expect(await scheduled(bench)).toEqual([]); // all of them wait for the permit
    await bench.settle([completed(holder!)]);
    const order: string[] = [];
    for (let round = 0; order.length < 4 && round < 40; round++) {
      await bench.move();
      const due = await bench.read();
      const results = await bench.apply(due, checksOf);
      const started = due.filter((_, i) => results[i] === null);
      if (started.length > 0) {
        order.push(...started.map(keyOf));
        expect(await bench.redis.zcount(`${bench.keys.prefix}rate:R`, Date.now() - perMs, '+inf')).toBe(1);
        await bench.settle(started.map(completed));
      } else if (due.length === 0) {
        await age(bench, perMs + 100);
      }
    }
    expect(order).toEqual(keys);
    expect(await bench.left()).toEqual([]);
  });

  test('tells listeners that an execution is scheduled again', async () => {
    const bench = await openBench(url());
    for (const key of ['first', 'k']) await bench.add(key);
    const [first, next] = await bench.read();
    expect(await bench.apply([first!], () => [rate(1)])).toEqual([null]);
    await bench.redis.set(bench.keys.listeners, '1', 'EX', 60);
    const subscriber = await openConnection(url(), 'commands');
    onTestFinished(() => closeConnection(subscriber));
    const heard: string[] = [];
    subscriber.on('message', (_, message) => heard.push(String(message)));
    await subscriber.subscribe(`${bench.keys.prefix}events:k`);
    expect(await bench.apply([next!], () => [rate(1)])).toEqual(['parked']);
    await waitFor(() => heard.length > 0);
    expect(heard[0]).toMatch(/^\d+ scheduled \d+\n/);
  });

  test('has no booking for an execution that waits for a permit', async () => {
    const bench = await openBench(url());
    const checks: Record<string, AdmissionCheck[]> = {
      first: [rate(1)],
      both: [rate(1), permit('A')],
      holder: [permit('A')],
    };
    for (const key of Object.keys(checks)) await bench.add(key);
    const checksOf = (delivery: Delivery) => checks[keyOf(delivery)]!;
    expect(await bench.apply(await bench.read(), checksOf)).toEqual([null, 'parked', null]);
    expect(await bench.redis.zcard(bench.keys.booked('R'))).toBe(1);
    await age(bench, perMs + 500);
    await bench.move();
    expect(await bench.apply(await bench.read(), checksOf)).toEqual(['parked']);
    expect(await bench.redis.zrange(`${bench.keys.prefix}limit:A`, '0', '-1')).toEqual(['kboth']);
    expect(await bench.redis.exists(bench.keys.booked('R'))).toBe(0);
  });

  test('forgets bookings that were passed over, as one of a period later starts', async () => {
    const bench = await openBench(url());
    await addMany(bench, 2);
    expect(await bench.apply(await bench.read(), () => [rate(1)])).toEqual([null, 'parked']);
    await bench.redis.zadd(bench.keys.booked('R'), 1, 'kgone 1 1', 2, 'kgone 2 1');
    await age(bench, perMs + 500);
    await bench.move();
    expect(await bench.apply(await bench.read(), () => [rate(1)])).toEqual([null]);
    expect(await bench.redis.exists(bench.keys.booked('R'))).toBe(0);
  });

  test('books nothing for an execution whose entry was deleted by hand', async () => {
    const bench = await openBench(url());
    for (const key of ['first', 'gone']) await bench.add(key);
    const [first, gone] = await bench.read();
    expect(await bench.apply([first!], () => [rate(1)])).toEqual([null]);
    await bench.redis.xdel(bench.keys.work, gone!.token.slice(1));
    expect(await bench.apply([gone!], () => [rate(1)])).toEqual(['refused']);
  });

  test('lets an execution that did not start go before the late ones that were added after it', async () => {
    const bench = await openBench(url());
    const keys = await addMany(bench, 6);
    const [first] = await bench.read(1);
    expect(await bench.apply([first!], () => [rate(1)])).toEqual([null]);
    expect(await bench.apply(await bench.read(), () => [rate(1)])).toEqual(Array(5).fill('parked'));
    await age(bench, 100 * perMs);
    await bench.settle([{ ...again(first!, 'front'), booking: '1 R' } as Settlement]);
    await bench.move();
    const late = await bench.read();
    expect(late.map(keyOf)).toEqual(keys);
    expect(await bench.apply(late, () => [rate(1)])).toEqual([null, ...Array(5).fill('parked')]);
    expect(await scheduled(bench)).toEqual(keys.slice(1));
  });

  test.each(['k', undefined])(
    'counts an execution that was claimed and did not start when it is claimed again (key %s)',
    async (key) => {
      const bench = await openBench(url());
      await bench.add(key);
      const [first] = await bench.read();
      expect(await bench.apply([first!], () => [rate(1)])).toEqual([null]);
      await age(bench, perMs / 2);
      await bench.settle([{ ...again(first!, 'front'), booking: '1 R' } as Settlement]);
      await bench.add('next');
      const [second, next] = await bench.read();
      expect(keyOf(second!)).toBe(keyOf(first!));
      expect(await bench.apply([second!, next!], () => [rate(1)])).toEqual([null, 'parked']);
      const [start, booking] = await booked(bench);
      expect(booking! - start!).toBeGreaterThanOrEqual(perMs);
      expect(await bench.redis.zcard(`${bench.keys.prefix}rate:R`)).toBe(1);
      // Once it has started, its redelivery passes and counts nothing.
      await age(bench, 2 * perMs);
      await bench.passOn([second!.token]);
      await bench.move();
      const [other, redelivered] = (await bench.read()).sort((a, b) => a.deliveries - b.deliveries);
      expect(await bench.apply([other!, redelivered!], () => [rate(1)])).toEqual([null, null]);
      expect(await bench.redis.zcount(`${bench.keys.prefix}rate:R`, Date.now() - perMs, '+inf')).toBe(1);
    },
  );

  test('counts an execution that did not start no longer while it waits, and once when it is claimed again', async () => {
    const bench = await openBench(url());
    const checks: Record<string, AdmissionCheck[]> = { k: [rate(2), permit('A')], holder: [permit('A')] };
    const checksOf = (delivery: Delivery) => checks[keyOf(delivery)] ?? [rate(2)];
    await bench.add('k');
    const [first] = await bench.read();
    expect(await bench.apply([first!], checksOf)).toEqual([null]);
    await bench.settle([{ ...again(first!, 'front'), booking: '1 R' } as Settlement]);
    const [second] = await bench.read();
    await bench.settle([{ ...again(second!, 'work'), booking: '1 R' } as Settlement]); // without its permit
    await bench.add('holder');
    await bench.add('next');
    const [third, holder, next] = await bench.read();
    expect(await bench.apply([holder!, third!], checksOf)).toEqual([null, 'parked']);
    expect(await bench.redis.exists(`${bench.keys.prefix}rate:R`)).toBe(0);
    await bench.settle([completed(holder!)]);
    const [woken] = await bench.read();
    expect(await bench.apply([woken!], checksOf)).toEqual([null]);
    await bench.settle([{ ...again(woken!, 'front'), booking: '1 R' } as Settlement]);
    expect(await bench.apply([...(await bench.read()), next!], checksOf)).toEqual([null, null]);
  });

  test('has room again when an execution that it counted is cancelled before it started', async () => {
    const bench = await openBench(url());
    await bench.add('k');
    const [first] = await bench.read();
    expect(await bench.apply([first!], () => [rate(1)])).toEqual([null]);
    await bench.settle([{ ...again(first!, 'front'), booking: '1 R' } as Settlement]);
    await bench.cancel('k');
    expect(await bench.redis.exists(`${bench.keys.prefix}rate:R`)).toBe(0);
  });

  test('no longer has room for an execution whose admission was answered too late', async () => {
    const bench = await openBench(url());
    for (const key of ['a', 'b']) await bench.add(key);
    const [a, b] = await bench.read();
    expect(await bench.apply([a!], () => [rate(1), permit('A')])).toEqual([null]); // the answer is lost
    await age(bench, perMs + 500);
    expect(await bench.apply([b!], () => [rate(1)])).toEqual([null]);
    expect(await bench.apply([a!], () => [rate(1), permit('A')])).toEqual(['parked']);
    expect(await bench.redis.exists(`${bench.keys.prefix}slots`)).toBe(0); // it waits without its permit
    expect(await scheduled(bench)).toEqual(['a']);
  });

  test('counts bookings that another version wrote among the starts, and counts them again when they start', async () => {
    const bench = await openBench(url());
    await addMany(bench, 2);
    expect(await bench.apply(await bench.read(), () => [rate(1)])).toEqual([null, 'parked']);
    await bench.redis.rename(`${bench.keys.prefix}booked:R`, 'other');
    await bench.redis.zunionstore(`${bench.keys.prefix}rate:R`, 2, `${bench.keys.prefix}rate:R`, 'other');
    await bench.redis.del('other');
    await age(bench, 1.5 * perMs); // it is late
    await bench.move();
    await bench.add('new');
    const [late, fresh] = await bench.read();
    expect(await bench.apply([late!], () => [rate(1)])).toEqual([null]);
    expect(await bench.apply([fresh!], () => [rate(1)])).toEqual(['parked']);
    const [start, booking] = await booked(bench);
    expect(booking! - start!).toBeGreaterThanOrEqual(perMs);
  });

  test('removes starts that no longer count a bounded number at a time, and counts none of them', async () => {
    const bench = await openBench(url());
    const aged = Array.from({ length: 5_000 }, (_, i) => [i + 1, `old${i}`]).flat();
    await bench.redis.zadd(`${bench.keys.prefix}rate:R`, ...aged);
    const keys = await addMany(bench, 3);
    expect(await bench.apply(await bench.read(), () => [rate(2)])).toEqual([null, null, 'parked']);
    expect(await bench.redis.zcard(`${bench.keys.prefix}rate:R`)).toBe(5_000 - 2 * BATCH_ITEMS + 2);
    expect(await scheduled(bench)).toEqual([keys[2]]);
  });

  test('counts a retry, but an attempt only once however often it is delivered', async () => {
    const bench = await openBench(url());
    for (const key of ['k', undefined]) {
      const before = (await booked(bench)).length;
      await bench.add(key);
      const [first] = await bench.read();
      expect(await bench.apply([first!], () => [rate(100)])).toEqual([null]);
      expect(await bench.apply([first!], () => [rate(100)])).toEqual([null]);
      await bench.passOn([first!.token]);
      const [second] = await bench.read();
      expect(await bench.apply([second!], () => [rate(100)])).toEqual([null]);
      await bench.settle([again(second!, 'front')]); // handed back
      const [third] = await bench.read();
      expect(await bench.apply([third!], () => [rate(100)])).toEqual([null]);
      expect(await booked(bench)).toHaveLength(before + 1);
      await bench.settle([completed(third!)]);
    }
  });

  test('does not drop an attempt that it has admitted, however long ago', async () => {
    const bench = await openBench(url());
    const check: AdmissionCheck = { ...rate(1, 'drop'), perMs: 20 } as AdmissionCheck;
    await bench.add('long');
    const [first] = await bench.read();
    expect(await bench.apply([first!], () => [check])).toEqual([null]);
    // Others come when its place is free again.
    await waitFor(async () => (await bench.redis.exists(`${bench.keys.prefix}rate:R`)) === 0);
    await bench.add('other');
    const [other] = await bench.read();
    const wide: AdmissionCheck = { ...rate(1, 'drop') };
    expect(await bench.apply([other!], () => [wide])).toEqual([null]);
    await bench.passOn([first!.token]);
    const [second] = await bench.read();
    expect(await bench.apply([second!], () => [wide])).toEqual([null]);
  });
});

describeOnAnyServer('a debounce', (url) => {
  const checksOf = (): AdmissionCheck[] => [{ kind: 'debounce', key: 'D', settleMs: 60_000 }];

  test('lets the retries of an execution that it admitted pass, although a later submission waits', async () => {
    const bench = await openBench(url());
    for (const key of [undefined, 'admitted']) {
      await bench.add(key);
      const [first] = await bench.read();
      await bench.settle([again(first!)]); // its next attempt, which has passed its limits
      await nextMillisecond(bench.redis);
      await bench.add('later');
      const [retried, later] = await bench.read();
      expect([keyOf(retried!), keyOf(later!)]).toEqual([keyOf(first!), 'later']);
      expect(await bench.apply([later!], checksOf)).toEqual(['parked']);
      expect(await bench.apply([retried!], checksOf)).toEqual([null]);
      await bench.settle([completed(retried!)]);
      await bench.cancel('later');
    }
    expect(await bench.redis.exists(`${bench.keys.prefix}debounce:D`)).toBe(0);
  });
});
