/** A task is paused: its executions wait in a line, whatever they were doing, and start in order when it is resumed. */
import {
  call,
  concurrencyLimit,
  cooldown,
  ExecutionCancelledError,
  InvalidOptionError,
  perpetual,
  rateLimit,
  retry,
  task,
} from 'docket';
import { describe, expect, test } from 'vitest';
import { collect } from '../../support/collect.js';
import { nextMillisecond } from '../../support/next-millisecond.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer } from '../../support/suites.js';
import { deferred, waitFor } from '../../support/wait.js';
import { inHand, inLine, onStreams, placeOf, shortOnes, untilInLine, untilNothingIsLeft } from './pauses.js';

const WAYS = [{ executionTtl: '1m' }, { executionTtl: 0 }] as const;

describeEachServer('a paused task', (url) => {
  const stage = setStage(url);

  /** A task that notes what ran. */
  function setUp() {
    const ran: number[] = [];
    const note = task('note', ({ n }: { n: number }) => void ran.push(n));
    const other = task('other', ({ n }: { n: number }) => void ran.push(n));
    return { ran, note, other, tasks: { note, other } };
  }

  test.each(WAYS)('starts nothing, loses nothing, and goes on in the old order: %o', async (options) => {
    const { ran, note, other, tasks } = setUp();
    const place = await placeOf(stage);
    const docket = stage.docket(options);
    await docket.pause(note);
    stage.work(tasks, { concurrency: 1 });
    for (let n = 1; n <= 12; n++) await docket.add(note, { n });
    await docket.add(other, { n: 100 });
    await untilInLine(place, 'note', 12);
    await waitFor(() => ran.length === 1);
    expect(ran).toEqual([100]);
    expect(await docket.resume(note)).toBe(true);
    await waitFor(() => ran.length === 13);
    expect(ran.slice(1)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    await untilNothingIsLeft(place);
  });

  test('is what its executions wait for, and not a limit, wherever they are listed', async () => {
    const { note, tasks } = setUp();
    const place = await placeOf(stage);
    const docket = stage.docket();
    await docket.pause(note);
    stage.work(tasks, { concurrency: 1 });
    for (let n = 1; n <= 2; n++) await docket.add(note, { n }, { key: `note-${n}` });
    await untilInLine(place, 'note', 2);
    const listed = await collect(docket.list({ task: note }));
    expect(listed).toMatchObject([{ waitingFor: 'paused' }, { waitingFor: 'paused' }]);
    const details = await docket.show('note-2');
    expect(details).toMatchObject({ place: 'line', waitsFor: { name: 'paused', kind: 'resume', ahead: 1 } });
    expect(await docket.limits()).toEqual([]);
    await docket.resume(note);
    await untilNothingIsLeft(place);
  });

  test('lets what runs go on, and takes back what was read ahead', async () => {
    const place = await placeOf(stage);
    const docket = stage.docket();
    const ran: number[] = [];
    const begun = deferred();
    const ending = deferred();
    const step = task('step', async ({ n }: { n: number }) => {
      if (n < 0) return;
      ran.push(n);
      if (n > 1) return;
      begun.resolve();
      await ending.promise;
    });
    stage.work({ step }, { concurrency: 1 });
    await docket.addMany(shortOnes(call(step, { n: -1 })));
    await waitFor(async () => (await onStreams(place)) === 0);
    const executions = await docket.addMany(Array.from({ length: 20 }, (_, i) => call(step, { n: i + 1 })));
    await begun.promise;
    await docket.pause(step);
    await waitFor(async () => (await inHand(place)) === 1);
    ending.resolve();
    await executions[0]!.result();
    await untilInLine(place, 'step', 19);
    expect(ran).toEqual([1]);
    await executions[1]!.sync();
    expect(executions[1]).toMatchObject({ state: 'queued', waitingFor: 'paused' });
    await docket.resume(step);
    await Promise.all(executions.map((one) => one.result()));
    expect(ran).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    await untilNothingIsLeft(place);
  });

  test('is paused until its last reason is gone', async () => {
    const { ran, note, tasks } = setUp();
    const place = await placeOf(stage);
    const docket = stage.docket();
    await docket.pause(note, { reason: 'deploy' });
    await docket.pause('note', { reason: 'the bank is down' });
    await docket.pause(note, { reason: 'deploy' });
    expect((await docket.pauses()).map(({ task: name, reason }) => [name, reason])).toEqual([
      ['note', 'deploy'],
      ['note', 'the bank is down'],
    ]);
    stage.work(tasks);
    await docket.add(note, { n: 1 });
    await untilInLine(place, 'note', 1);
    expect(await docket.resume(note, { reason: 'another' })).toBe(false);
    expect(await docket.resume(note, { reason: 'deploy' })).toBe(true);
    expect(await docket.resume(note, { reason: 'deploy' })).toBe(false);
    await docket.add(note, { n: 2 });
    await untilInLine(place, 'note', 2);
    expect(await docket.resume(note)).toBe(true);
    await waitFor(() => ran.length === 2);
    expect([ran, await docket.pauses()]).toEqual([[1, 2], []]);
    await untilNothingIsLeft(place);
  });

  test('with several reasons is resumed at once when none is named', async () => {
    const { ran, note, tasks } = setUp();
    const docket = stage.docket();
    for (const reason of ['a', 'b', 'c']) await docket.pause(note, { reason });
    await docket.pause('other', { reason: 'a' });
    await docket.add(note, { n: 1 });
    stage.work(tasks);
    expect(await docket.resume(note)).toBe(true);
    await waitFor(() => ran.length === 1);
    expect((await docket.pauses()).map(({ task: name }) => name)).toEqual(['other']);
    await docket.resume('other');
  });

  test('whose name has spaces, signs and letters of Redis is no other task', async () => {
    const place = await placeOf(stage);
    const docket = stage.docket();
    const ran: string[] = [];
    const names = ['*', '#', 'a b', 'a', '#a b', '%', 'ü:1', 'version'];
    const all = names.map((name) => task(name, () => void ran.push(name)));
    stage.work(Object.fromEntries(all.map((one, i) => [`t${i}`, one])));
    for (const name of names) {
      await docket.pause(name, { reason: 'a b' });
      await Promise.all(all.map((one) => docket.add(one)));
      await waitFor(() => ran.length === names.length - 1);
      expect(ran).not.toContain(name);
      expect(await docket.pauses()).toMatchObject([{ task: name, reason: 'a b' }]);
      await docket.resume(name);
      await waitFor(() => ran.length === names.length);
      ran.length = 0;
    }
    await untilNothingIsLeft(place);
  });

  test('keeps the retry that becomes due meanwhile, with its attempt', async () => {
    const place = await placeOf(stage);
    const docket = stage.docket();
    const attempts: number[] = [];
    const flaky = task('flaky', { retry: retry({ attempts: 3, delay: '20ms' }) }, async (_: {}, ctx) => {
      attempts.push(ctx.attempt);
      if (ctx.attempt === 1) {
        await docket.pause('flaky');
        throw new Error('not yet');
      }
      return ctx.attempt;
    });
    stage.work({ flaky });
    const execution = await docket.add(flaky);
    await untilInLine(place, 'flaky', 1);
    await execution.sync();
    expect(execution).toMatchObject({ state: 'queued', attempt: 2, waitingFor: 'paused' });
    expect(attempts).toEqual([1]);
    await docket.resume(flaky);
    expect(await execution.result()).toBe(2);
    await untilNothingIsLeft(place);
  });

  test('keeps a perpetual chain: its next run waits, and the chain goes on in the old grid', async () => {
    const place = await placeOf(stage);
    const docket = stage.docket();
    const EVERY_MS = 200;
    const dueTimes: number[] = [];
    const tick = task('tick', { perpetual: perpetual({ every: EVERY_MS }) }, (_: {}, ctx) => {
      dueTimes.push(ctx.when.getTime());
    });
    stage.work({ tick });
    await docket.add(tick, {}, { key: 'chain' });
    await waitFor(() => dueTimes.length >= 2);
    await docket.pause(tick);
    await untilInLine(place, 'tick', 1);
    const before = dueTimes.length;
    const waitingMs = (await docket.getExecution('chain'))!.when.getTime();
    await waitFor(async () => Number((await (await stage.redis()).time())[0]) * 1_000 > waitingMs + 5 * EVERY_MS);
    expect(dueTimes).toHaveLength(before);
    expect(await inLine(place, 'tick')).toBe(1);
    await docket.resume(tick);
    await waitFor(() => dueTimes.length >= before + 3);
    const [late, next, afterNext] = dueTimes.slice(before) as [number, number, number];
    expect(late).toBe(waitingMs); // the run that waited
    expect(next).toBeGreaterThan(waitingMs + 4 * EVERY_MS); // no run for each that was missed
    expect(afterNext).toBeGreaterThan(next);
    const offGrid = dueTimes.map((due) => due - dueTimes[0]!).filter((ms) => ms % EVERY_MS !== 0);
    expect(offGrid).toEqual([]);
    await docket.cancel('chain');
  });

  test.each(WAYS)('passes its limits after the resume, and counts nothing before it: %o', async (options) => {
    const place = await placeOf(stage);
    const docket = stage.docket(options);
    const ran: number[] = [];
    const limits = [concurrencyLimit({ max: 1 }), rateLimit({ max: 100, per: '1h' }), cooldown('n', { window: '1h' })];
    const guarded = task('guarded', { limits }, ({ n }: { n: number }) => void ran.push(n));
    await docket.pause(guarded);
    stage.work({ guarded });
    for (const n of [1, 2, 3]) await docket.add(guarded, { n });
    await untilInLine(place, 'guarded', 3);
    expect((await stage.keys()).filter((key) => /^(rate|booked|cooldown|slots|held)/.test(key))).toEqual([]);
    await docket.resume(guarded);
    await waitFor(() => ran.length === 3);
    expect(ran).toEqual([1, 2, 3]);
    expect(await place.redis.zcard(stage.key('rate:guarded'))).toBe(3);
    await untilNothingIsLeft(place);
  });

  test.each(WAYS)(
    'releases the permits of its waiters to others, and they find their places again: %o',
    async (options) => {
      const place = await placeOf(stage);
      const docket = stage.docket(options);
      const ran: string[] = [];
      const begun = deferred();
      const ending = deferred();
      const limits = [concurrencyLimit({ max: 1, scope: 'both' })];
      const slow = task('slow', { limits }, async ({ n }: { n: number }) => {
        ran.push(`slow ${n}`);
        if (n > 1) return;
        begun.resolve();
        await ending.promise;
      });
      const quick = task('quick', { limits }, ({ n }: { n: number }) => void ran.push(`quick ${n}`));
      stage.work({ slow, quick }, { concurrency: 10 });
      await docket.add(slow, { n: 1 });
      await begun.promise;
      for (const n of [2, 3, 4]) {
        await docket.add(slow, { n });
        await nextMillisecond(place.redis); // which is all that orders executions without a record once they have moved
      }
      await waitFor(async () => (await place.redis.zcard(stage.key('limit:@both'))) === 3);
      await docket.add(quick, { n: 5 });
      await waitFor(async () => (await place.redis.zcard(stage.key('limit:@both'))) === 4);
      await docket.pause(slow);
      ending.resolve();
      await waitFor(() => ran.length === 2);
      expect(ran).toEqual(['slow 1', 'quick 5']);
      await untilInLine(place, 'slow', 3);
      await waitFor(async () => (await place.redis.exists(stage.key('slots'), stage.key('held'))) === 0);
      await docket.resume(slow);
      await waitFor(() => ran.length === 5);
      expect(ran.slice(2)).toEqual(['slow 2', 'slow 3', 'slow 4']);
      await untilNothingIsLeft(place);
    },
  );

  describe('whose executions wait in line:', () => {
    /** Three executions in line, the second of them lean. */
    async function line() {
      const { ran, note, tasks } = setUp();
      const place = await placeOf(stage);
      const docket = stage.docket();
      const lean = stage.docket({ executionTtl: 0 });
      await docket.pause(note);
      stage.work(tasks);
      const first = await docket.add(note, { n: 1 }, { key: 'first' });
      const second = await lean.add(note, { n: 2 });
      const third = await docket.add(note, { n: 3 }, { key: 'third' });
      await untilInLine(place, 'note', 3);
      return { ran, note, place, docket, first, second, third };
    }

    test('one that is cancelled ends at once, and the others stay where they are', async () => {
      const { ran, note, place, docket, first, second } = await line();
      await docket.cancel('first');
      await expect(first.result()).rejects.toThrow(ExecutionCancelledError);
      await docket.cancel(second.key);
      expect([ran, await inLine(place, 'note')]).toEqual([[], 1]);
      await docket.resume(note);
      await waitFor(() => ran.length === 1);
      expect(ran).toEqual([3]);
      await untilNothingIsLeft(place);
    });

    test('one that is replaced starts after the resume, with its new arguments and in its new place', async () => {
      const { ran, note, place, docket } = await line();
      await docket.replace(note, { n: 4 }, { key: 'first' });
      await untilInLine(place, 'note', 3);
      expect(ran).toEqual([]);
      await docket.resume(note);
      await waitFor(() => ran.length === 3);
      expect(ran).toEqual([2, 3, 4]);
      await untilNothingIsLeft(place);
    });

    test('a key that waits is taken for adds', async () => {
      const { ran, note, place, docket } = await line();
      expect((await docket.add(note, { n: 9 }, { key: 'first' })).disposition).toBe('already_scheduled');
      await docket.resume(note);
      await waitFor(() => ran.length === 3);
      expect(ran).toEqual([1, 2, 3]);
      await untilNothingIsLeft(place);
    });

    test('clear removes all of them, and the pause stays', async () => {
      const { ran, note, place, docket, third } = await line();
      expect(await docket.clear()).toBe(3);
      await expect(third.result()).rejects.toThrow('cleared');
      expect([ran, await inLine(place, 'note')]).toEqual([[], 0]);
      expect(await docket.pauses()).toHaveLength(1);
      await docket.resume(note);
      await untilNothingIsLeft(place);
    });

    test('the snapshot counts and lists them apart from those at limits, with the pauses', async () => {
      const { ran, note, place, docket, second } = await line();
      const { totals, waiting, pauses } = await docket.snapshot();
      expect(totals).toMatchObject({ queued: 0, scheduled: 0, waiting: 0, paused: 3, running: 0 });
      expect(waiting.map(({ key, waitingFor, isPaused }) => [key, waitingFor, isPaused])).toEqual([
        ['first', 'paused', true],
        [second.key, 'paused', true],
        ['third', 'paused', true],
      ]);
      expect(pauses).toEqual([{ task: 'note', reason: 'manual', since: expect.any(Date) }]);
      await docket.resume(note);
      await waitFor(() => ran.length === 3);
      expect((await docket.snapshot()).pauses).toEqual([]);
      await untilNothingIsLeft(place);
    });
  });

  test('is refused with a task or a reason that cannot be one, before anything is written', async () => {
    const docket = stage.docket();
    for (const bad of ['', ' ', 'a\nb', 'x'.repeat(201), 1 as never]) {
      await expect(docket.pause('note', { reason: bad })).rejects.toThrow(InvalidOptionError);
      await expect(docket.resume('note', { reason: bad })).rejects.toThrow(InvalidOptionError);
    }
    await expect(docket.pause('')).rejects.toThrow(InvalidOptionError);
    await expect(docket.pause({ reason: 'a' } as never)).rejects.toThrow(InvalidOptionError);
    await expect(docket.pause('note', { raeson: 'a' } as never)).rejects.toThrow('no such option');
    expect(await stage.keys()).toEqual([]);
  });

  test('is one of 1,000 at most', async () => {
    const docket = stage.docket();
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => docket.pause('note', { reason: `${i}` })));
    await expect(docket.pause('note', { reason: 'more' })).rejects.toThrow('1000 pauses');
    await docket.pause('note', { reason: '0' });
    expect(await docket.pauses()).toHaveLength(1_000);
    expect(await docket.resume('note')).toBe(true);
    expect(await stage.keys()).toEqual(['generation']);
  });
});
