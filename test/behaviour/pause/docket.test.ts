/** The whole docket is paused: workers read nothing, and give back what they have not begun. */
import { call, concurrencyLimit, perpetual, task } from 'docket';
import { Worker } from 'docket/worker';
import { expect, test } from 'vitest';
import { openFleet } from '../../support/fleet.js';
import { recordingLogger } from '../../support/logger.js';
import { ask, pageOf } from '../../support/probes.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer, describeOnRedis } from '../../support/suites.js';
import { deferred, waitFor } from '../../support/wait.js';
import {
  inHand,
  inLine,
  onStreams,
  placeOf,
  shortOnes,
  untilGivenBack,
  untilInLine,
  untilNothingIsLeft,
} from './pauses.js';

const WAYS = [{ executionTtl: '1m' }, { executionTtl: 0 }] as const;

describeEachServer('a paused docket', (url) => {
  const stage = setStage(url);

  /** A task that notes what ran, and whose execution 1 runs until the test lets it end. */
  function setUp() {
    const ran: number[] = [];
    const begun = deferred();
    const ending = deferred();
    const step = task('step', async ({ n }: { n: number }) => {
      if (n < 0) return;
      ran.push(n);
      if (n !== 1) return;
      begun.resolve();
      await ending.promise;
    });
    return { ran, begun, ending, step, tasks: { step } };
  }

  test.each(WAYS)('lets what runs go on, starts nothing else, and goes on in the old order: %o', async (options) => {
    const { ran, begun, ending, step, tasks } = setUp();
    const place = await placeOf(stage);
    const docket = stage.docket(options);
    stage.work(tasks, { concurrency: 1 });
    await docket.addMany(shortOnes(call(step, { n: -1 })));
    await waitFor(async () => (await onStreams(place)) === 0);
    await docket.addMany(Array.from({ length: 20 }, (_, i) => call(step, { n: i + 1 })));
    await begun.promise; // what is read ahead goes back by itself when a quarter of a second passes before the pause
    await docket.pause();
    await waitFor(async () => (await inHand(place)) === 1);
    ending.resolve();
    await untilGivenBack(place, 19);
    await docket.add(step, { n: 21 });
    await docket.add(step, { n: 22 }, { when: '10ms' });
    await untilGivenBack(place, 21); // the scheduler goes on
    expect([ran, (await docket.snapshot()).totals]).toMatchObject([[1], { queued: 21, scheduled: 0, paused: 0 }]);
    expect(await docket.pauses()).toMatchObject([{ task: null, reason: 'manual' }]);
    expect(await docket.resume()).toBe(true);
    await waitFor(() => ran.length === 22);
    expect(ran).toEqual(Array.from({ length: 22 }, (_, i) => i + 1));
    await waitFor(async () => (await onStreams(place)) === 0);
    await untilNothingIsLeft(place);
  });

  test('keeps the order of executions whose results are kept for different times', async () => {
    const { ran, begun, ending, step, tasks } = setUp();
    const place = await placeOf(stage);
    const dockets = [stage.docket(), stage.docket({ executionTtl: '1h' })] as const;
    stage.work(tasks, { concurrency: 1 });
    await dockets[0].addMany(shortOnes(call(step, { n: -1 })));
    await waitFor(async () => (await onStreams(place)) === 0);
    const numbers = Array.from({ length: 20 }, (_, i) => i + 1);
    await dockets[0].pause();
    for (const n of numbers) await dockets[n % 2]!.add(step, { n });
    await dockets[0].resume(); // so that they are read together
    await begun.promise;
    await dockets[0].pause();
    await waitFor(async () => (await inHand(place)) === 1);
    ending.resolve();
    await untilGivenBack(place, 19);
    await dockets[0].resume();
    await waitFor(() => ran.length === 20);
    expect(ran).toEqual(numbers);
  });

  test('starts nothing in a worker that starts meanwhile', async () => {
    const { ran, step, tasks } = setUp();
    const place = await placeOf(stage);
    const docket = stage.docket();
    await docket.pause(null, { reason: 'deploy' });
    await docket.add(step, { n: 2 });
    stage.work(tasks);
    await waitFor(async () => (await docket.workers()).length === 1);
    await untilGivenBack(place, 1);
    expect(ran).toEqual([]);
    await docket.resume(null, { reason: 'deploy' });
    await waitFor(() => ran.length === 1);
    await untilNothingIsLeft(place);
  });

  test('drains at once, and leaves everything for the next worker', async () => {
    const { ran, step, tasks } = setUp();
    const place = await placeOf(stage);
    const docket = stage.docket();
    await docket.pause();
    const worker = stage.work(tasks);
    await waitFor(async () => (await docket.workers()).length === 1);
    await docket.addMany([2, 3].map((n) => call(step, { n })));
    await worker.close();
    await untilGivenBack(place, 2);
    stage.work(tasks);
    await docket.resume();
    await waitFor(() => ran.length === 2);
    expect(ran).toEqual([2, 3]);
    await untilNothingIsLeft(place);
  });

  test('and its tasks are paused independently of each other', async () => {
    const { ran, step, tasks } = setUp();
    const place = await placeOf(stage);
    const docket = stage.docket();
    stage.work(tasks);
    await docket.pause(step);
    await docket.pause();
    await docket.add(step, { n: 2 });
    await untilGivenBack(place, 1);
    expect(await docket.resume()).toBe(true);
    await untilInLine(place, 'step', 1); // the task still is
    await docket.pause();
    expect(await docket.resume(step)).toBe(true);
    await untilGivenBack(place, 1); // now the docket is: the scheduler moves the line, and nobody reads it
    expect([ran, await inLine(place, 'step'), await docket.resume(step)]).toEqual([[], 0, false]);
    await docket.resume();
    await waitFor(() => ran.length === 1);
    await untilNothingIsLeft(place);
  });

  test('keeps the permits of what waits at the head of its streams until its task is paused, too', async () => {
    const place = await placeOf(stage);
    const docket = stage.docket();
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
    const quick = task('quick', { limits }, () => void ran.push('quick'));
    stage.work({ slow, quick }, { concurrency: 10 });
    await docket.add(slow, { n: 1 });
    await begun.promise;
    await docket.add(slow, { n: 2 });
    await waitFor(async () => (await place.redis.zcard(stage.key('limit:@both'))) === 1);
    await docket.pause();
    await docket.pause(slow);
    ending.resolve();
    await untilGivenBack(place, 1); // woken, with its permit
    expect(await place.redis.hlen(stage.key('slots'))).toBe(1);
    await docket.add(quick);
    await docket.resume();
    await waitFor(() => ran.length === 2);
    expect([ran, await inLine(place, 'slow')]).toEqual([['slow 1', 'quick'], 1]);
    await docket.resume(slow);
    await waitFor(() => ran.length === 3);
    await untilNothingIsLeft(place);
  });
});

describeEachServer('a worker that runs until everything is finished', (url) => {
  const stage = setStage(url);

  function start(tasks: object) {
    const { logger, lines } = recordingLogger('info');
    const worker = new Worker(stage.docket(), {
      tasks: tasks as never,
      threads: 0,
      minimumCheckInterval: '50ms',
      logger,
    });
    const waits = () => lines.filter(({ message }) => message.startsWith('waiting for paused executions'));
    return { worker, waits };
  }

  test.each([
    ['a task is paused', 'note', 'note (deploy)'],
    ['the docket is paused', null, 'the docket (deploy)'],
  ])('waits while %s, says so once, and ends after the resume', async (_, paused, what) => {
    const docket = stage.docket();
    const ran: number[] = [];
    const note = task('note', ({ n }: { n: number }) => void ran.push(n));
    const lean = stage.docket({ executionTtl: 0 });
    await docket.pause(paused, { reason: 'deploy' });
    await docket.add(note, { n: 1 });
    await lean.add(note, { n: 2 });
    const { worker, waits } = start({ note });
    let isOver = false;
    const finished = worker.runUntilFinished().then(() => {
      isOver = true;
    });
    await waitFor(() => waits().length > 0);
    expect([isOver, ran]).toEqual([false, []]);
    await docket.resume(paused);
    await finished;
    expect(ran).toEqual([1, 2]);
    const line = `waiting for paused executions to be resumed (2): ${what}`;
    expect(waits().map(({ message }) => message)).toEqual([line]);
    await untilNothingIsLeft(await placeOf(stage));
  });

  test('does not wait for a paused chain that it may run no more', async () => {
    const docket = stage.docket();
    const runs: number[] = [];
    const tick = task('tick', { perpetual: perpetual({ every: '10ms' }) }, async () => {
      runs.push(1);
      if (runs.length === 2) await docket.pause('tick');
    });
    await docket.add(tick, {}, { key: 'chain' });
    const { worker } = start({ tick });
    await worker.runAtMost({ chain: 2 });
    expect(runs).toHaveLength(2);
    await docket.cancel('chain');
    await docket.resume(tick);
    await untilNothingIsLeft(await placeOf(stage));
  });
});

describeOnRedis('a worker whose docket is paused', (url) => {
  test('stays listed and ready, says what is paused, and has metrics of it', async () => {
    const fleet = await openFleet(url(), { heartbeatInterval: 200, missedHeartbeats: 20 });
    const { docket } = fleet;
    const ports = { healthcheckPort: 0, metricsPort: 0, minimumCheckInterval: '100ms' } as const;
    const running = await fleet.worker({ ...ports, threads: 1 });
    expect(await ask(pageOf(running, '/readyz'))).toEqual({ status: 200, body: { status: 'ready' } });
    await docket.pause('noop', { reason: 'deploy' });
    await docket.add('noop');
    await untilInLine(fleet, 'noop', 1);
    await docket.pause();
    const paused = [
      { task: 'noop', reason: 'deploy' },
      { task: null, reason: 'manual' },
    ];
    await expect
      .poll(() => ask(pageOf(running, '/readyz')))
      .toEqual({ status: 200, body: { status: 'ready', paused } });
    const metrics = async () => await (await fetch(pageOf(running, '/metrics'))).text();
    expect(await metrics()).toMatch(/^docket_paused\{.*\} 2$/m);
    expect(await metrics()).toMatch(/^docket_executions_paused\{.*\} 1$/m);
    const { expiresAt } = (await docket.workers())[0]!;
    // It is still listed by heartbeats that came long after its last read, which may take 1.1 s.
    await waitFor(async () => (await docket.workers())[0]!.expiresAt.getTime() > expiresAt.getTime() + 3_000);
    expect((await ask(pageOf(running, '/readyz'))).status).toBe(200);
    await docket.resume('noop');
    await docket.resume();
    await expect.poll(() => ask(pageOf(running, '/readyz'))).toEqual({ status: 200, body: { status: 'ready' } });
    await waitFor(async () => (await onStreams(fleet)) === 0);
    await untilNothingIsLeft(fleet);
  });
});
