/** What tasks get beside their arguments: dependencies, what modules configure, and the context. */
import { TimeoutError } from 'docket';
import type { WorkerOptions } from 'docket/worker';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { left } from '../support/chains.js';
import { fixture, openFleet } from '../support/fleet.js';
import { type Notes, takeNotes } from '../support/notes.js';
import { describeEachMode, describeOnAnyServer } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const DEPENDENCIES = fixture('dependencies.js');
const CONFIGURED = fixture('configured.js');
const KEPT = [{ executionTtl: '15m' }, { executionTtl: 0 }] as const;

/** Where shared dependencies note to: they get no arguments. Each test has modules of its own, which read it once. */
let notes: Notes;
let modules = 0;
beforeEach(() => {
  notes = takeNotes();
  process.env.DEPENDENCIES_FILE = notes.file;
});
afterEach(() => void delete process.env.DEPENDENCIES_FILE);

/** The tasks, in an instance of their module for this test alone. */
const ownModule = () => new URL(`file://${DEPENDENCIES}?test=${++modules}`);

async function setUp(
  url: string,
  threads: number,
  options: WorkerOptions = {},
  docket: (typeof KEPT)[number] = KEPT[0],
) {
  const fleet = await openFleet(url, docket);
  const running = await fleet.worker({ tasks: ownModule(), threads, ...options });
  const add = (task: string, args: object = {}, key = 'k') =>
    fleet.docket.add(task, { file: notes.file, ...args }, { key });
  return { fleet, running, add };
}

describeOnAnyServer('threads that may run a number of executions', (url) => {
  test('are replaced after them, dispose of their shared dependencies, and lose nothing', async () => {
    const { running, add } = await setUp(url(), 2, { maxTasksPerThread: 5, abortGrace: '10s' });
    const executions = await Promise.all(Array.from({ length: 20 }, (_, i) => add('pooled', {}, `k${i}`)));
    for (const execution of executions) await execution.result();
    const runs = new Map<string, number>();
    for (const [, thread] of notes.of('uses').map((line) => line.split(' ')))
      runs.set(thread!, (runs.get(thread!) ?? 0) + 1);
    const counts = [...runs.values()];
    expect(counts.reduce((sum, count) => sum + count)).toBe(20);
    expect(Math.max(...counts)).toBe(5);
    const full = counts.filter((count) => count === 5).length;
    expect(counts.length - full).toBeLessThanOrEqual(2); // on the threads that are there at the end
    await waitFor(() => notes.of('closed').length === full);
    expect(running.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  });
});

describeOnAnyServer('a thread that has run all its executions', (url) => {
  test('disposes of its shared dependencies completely, even when the worker stops meanwhile', async () => {
    const { running, add } = await setUp(url(), 1, { maxTasksPerThread: 1, abortGrace: '20s' });
    await (await add('lingering')).result();
    await notes.written('lingers');
    const stopped = running.stop();
    const isStopped = await Promise.race([
      stopped.then(() => true),
      new Promise((resolve) => setTimeout(resolve, 300)),
    ]);
    expect(isStopped).toBeUndefined();
    notes.open('left');
    await stopped;
    expect(notes.of('is')).toEqual(['gone']);
  });
});

describeEachMode('dependencies', (url, threads) => {
  test('that are shared exist once per thread, and are closed with the worker', async () => {
    const { add, running } = await setUp(url(), threads, { concurrency: 4 });
    const held = await Promise.all(['a', 'b', 'c', 'd'].map((key) => add('pooled', { how: 'hold' }, key)));
    await waitFor(() => notes.of('uses').length === 4);
    notes.open('held');
    const ids = await Promise.all(held.map((execution) => execution.result()));
    const more = await Promise.all(Array.from({ length: 20 }, (_, i) => add('pooled', {}, `more-${i}`)));
    for (const execution of more) ids.push(await execution.result());
    const opened = notes.of('opened');
    expect(opened).toHaveLength(Math.max(1, threads));
    expect(opened.map((line) => line.split(' ')[0]).sort()).toEqual([...new Set(ids)].sort());
    for (const line of opened) expect(line).toContain(`${running.worker.name} true`);
    expect(notes.of('closed')).toEqual([]);
    await running.stop();
    expect(notes.of('closed').sort()).toEqual([...new Set(ids)].sort());
  });

  test('are made in order for each execution, and cleaned up in reverse before its outcome is visible', async () => {
    const { add } = await setUp(url(), threads);
    const execution = await add('layered');
    await notes.written('clean outer');
    await execution.sync();
    expect(execution.state).toBe('running');
    expect(notes.all().filter((line) => !line.startsWith('opened'))).toEqual([
      expect.stringMatching(/^make outer \d+-1$/),
      'make inner with outer k',
      'body with inner undefined',
      'clean inner',
      'clean outer',
    ]);
    notes.open('cleaned');
    expect(await execution.result()).toBe('done');
  });

  test.each([
    ['fails', 'layered', 'throw', 'failed'],
    ['is cancelled', 'layered', 'listen', 'cancelled'],
    ['takes too long', 'layeredShortly', 'listen', 'failed'],
  ])('are cleaned up when the body %s, before that is visible', async (ends, task, how, state) => {
    const { add, fleet } = await setUp(url(), threads, { abortGrace: '20s' });
    const execution = await add(task, { how });
    await notes.written('body with inner undefined');
    if (ends === 'is cancelled') await fleet.docket.cancel('k');
    await notes.written('clean outer');
    await execution.sync();
    if (ends !== 'takes too long') expect(execution.state).toBe('running');
    expect(notes.all().slice(-2)).toEqual(['clean inner', 'clean outer']);
    notes.open('cleaned');
    const error = await execution.result().catch((thrown) => thrown);
    await execution.sync();
    expect(execution.state).toBe(state);
    if (ends === 'takes too long') expect(error).toBeInstanceOf(TimeoutError);
    if (ends === 'fails') expect(error).toBeInstanceOf(RangeError);
  });

  describe.each(KEPT)('executionTtl $executionTtl', (docket) => {
    test('that fail are tried again with the attempt, and reported together', async () => {
      const { add, fleet, running } = await setUp(url(), threads, {}, docket);
      const lucky = await add('unlucky', { worksIn: 3 }, 'lucky');
      const unlucky = await add('unlucky', { worksIn: 99 }, 'unlucky');
      const told = 'mail (TypeError: mail is away), disk (TypeError: disk is away)';
      const failed = await waitFor(() => running.lines.find(({ message }) => message.includes('unlucky failed')));
      expect(failed).toMatchObject({ level: 'error', fields: { key: 'unlucky', attempt: 3 } });
      expect(failed?.message).toContain(told);
      await waitFor(async () => running.lines.filter(({ message }) => message.includes('is retried')).length === 4);
      await waitFor(async () => (await left(fleet)) === 0);
      if (docket.executionTtl === 0) return;
      expect(await lucky.result()).toBe('mail and disk in attempt 3');
      const error = (await unlucky.result().catch((thrown) => thrown)) as AggregateError;
      expect(error).toBeInstanceOf(AggregateError);
      expect(error.message).toBe(`dependencies of 'unlucky' failed: ${told}`);
      expect(error.errors.map((one) => [one.constructor, one.message])).toEqual([
        [TypeError, 'mail is away'],
        [TypeError, 'disk is away'],
      ]);
    });
  });

  test('that cannot be cleaned up fail an attempt that had succeeded', async () => {
    const { add } = await setUp(url(), threads);
    const execution = await add('uncleanable');
    const error = (await execution.result().catch((thrown) => thrown)) as AggregateError;
    expect(error).toBeInstanceOf(AggregateError);
    expect(error.message).toBe(
      "the clean-up of dependencies of 'uncleanable' failed: uncleanable (RangeError: it will not go)",
    );
  });

  test('that are shared may add work and log as they are closed', async () => {
    const { add, fleet, running } = await setUp(url(), threads, { concurrency: 1 });
    await (await add('leaving')).result();
    await running.stop();
    expect(notes.all().slice(-2)).toEqual(['said farewell', expect.stringMatching(/^closed /)]);
    expect(running.lines.filter(({ message }) => message === 'farewell')).toHaveLength(1);
    const added = await fleet.docket.getExecution('farewell');
    expect(added?.state).toBe('queued');
    await fleet.worker({ tasks: ownModule(), threads });
    await notes.written('ran farewell');
    await added?.result();
  });

  test('that are shared and never close do not keep the worker from ending', async () => {
    const { add, running } = await setUp(url(), threads, { concurrency: 1, abortGrace: '200ms' });
    await (await add('clinging')).result();
    const began = performance.now();
    await running.stop();
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(notes.all()).toContain('clings');
    expect(notes.of('closed')).toEqual([]); // it comes after the one that hangs
  });
});

describeOnAnyServer('shared dependencies', (url) => {
  test('are lost with a terminated thread, and made anew on the next', async () => {
    const { add } = await setUp(url(), 1, { abortGrace: '200ms' });
    const first = await (await add('pooled', {}, 'first')).result();
    const looping = await add('layeredShortly', { how: 'block' });
    await expect(looping.result()).rejects.toThrow(TimeoutError);
    const second = await (await add('pooled', {}, 'second')).result();
    expect(second).not.toBe(first);
    expect(notes.of('closed')).toEqual([]);
  });

  test('are closed on free threads although another thread stays busy to the end', async () => {
    const { add, fleet, running } = await setUp(url(), 2, { drainTimeout: '1s', abortGrace: '300ms' });
    const held = await add('pooled', { how: 'hold' }, 'held'); // so that each thread has its own
    await waitFor(() => notes.of('uses').length === 1);
    await add('pooled', { how: 'block' }, 'looping');
    await waitFor(() => notes.of('uses').length === 2);
    notes.open('held');
    const free = await held.result();
    const began = performance.now();
    await running.stop();
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(notes.of('closed')).toEqual([free]);
    expect((await fleet.docket.getExecution('looping'))?.state).toBe('queued');
    fleet.leavesWork();
  });
});

describeEachMode('a module that configures its worker', (url, threads) => {
  test('puts its dependencies around every execution, whatever module it is from', async () => {
    const { add } = await setUp(url(), threads, { tasks: [CONFIGURED, ownModule()], concurrency: 1 });
    await (await add('traced', {}, 'own')).result();
    await (await add('plain', {}, 'foreign')).result();
    expect(notes.all()).toEqual([
      'trace own 1',
      'own own',
      'body own undefined',
      'own closed own',
      'traced own 1',
      'trace foreign 1',
      'ran foreign',
      'traced foreign 1',
    ]);
  });

  test('has its errors revived in results that its tasks read', async () => {
    const { add } = await setUp(url(), threads, { tasks: CONFIGURED, concurrency: 2 });
    expect(await (await add('watch')).result()).toEqual([true, 'no money']);
  });

  test('names a fallback, which runs unknown tasks under their names, with its own policies', async () => {
    const { add, running } = await setUp(url(), threads, { tasks: CONFIGURED, concurrency: 1 });
    const execution = await add('of another team', { amount: 3n }, 'k');
    expect(await execution.result()).toEqual({ task: 'of another team', args: { amount: 3n } });
    const failing = await add('failing', { fails: true }, 'f');
    await expect(failing.result()).rejects.toMatchObject({ name: 'Declined', reason: 'failing' });
    await failing.sync();
    expect(failing).toMatchObject({ task: 'failing', attempt: 2, state: 'failed' });
    expect(notes.of('forward')).toEqual(['of another team k 1', 'failing f 1', 'failing f 2']);
    expect(running.lines.filter(({ message }) => message.includes('is rerouted'))).toEqual([]);
  });
});

describeEachMode('the context of a task', (url, threads) => {
  test('shows the whole execution', async () => {
    const { fleet, running } = await setUp(url(), threads, { tasks: CONFIGURED });
    const later = new Date(Date.now() + 2_000);
    const args = { file: notes.file, amount: 3n, at: new Date(0) };
    const keyed = await fleet.docket.add('everything', args, { key: 'k', when: later });
    const unkeyed = await fleet.docket.add('everything', args);
    for (const execution of [keyed, unkeyed]) {
      const { key } = execution;
      const result = (await execution.result()) as { ctx: { when: Date }; execution: { startedAt: Date } };
      const worker = { name: running.worker.name, threadId: expect.any(Number) };
      const { when } = result.ctx;
      // What was not scheduled is due as it arrives, which the embedded server tells by a clock that goes on meanwhile.
      const tolerated = key === 'k' ? 0 : 2_000;
      expect(Math.abs(when.getTime() - execution.when.getTime())).toBeLessThanOrEqual(tolerated);
      expect(result).toEqual({
        args: { amount: 3n, at: new Date(0) },
        ctx: {
          key,
          attempt: 1,
          when,
          redelivered: false,
          worker,
          cancelled: false,
          aborted: false,
        },
        policies: ['undefined', 'undefined'],
        execution: {
          key,
          task: 'everything',
          args,
          when,
          disposition: 'scheduled',
          attempt: 1,
          state: 'running',
          worker: worker.name,
          startedAt: expect.any(Date),
          completedAt: null,
          error: null,
        },
        synced: { state: 'running', worker: worker.name, attempt: 1 },
        child: `${key}-child`,
        found: 'running',
      });
      expect(result.execution.startedAt.getTime()).toBeGreaterThanOrEqual(when.getTime() - 1);
      await (await fleet.docket.getExecution(`${key}-child`))?.result();
    }
    expect((await fleet.docket.getExecution('k'))?.when).toEqual(later);
  });

  test('can be destructured', async () => {
    const { add, running } = await setUp(url(), threads, { tasks: CONFIGURED });
    await (await add('destructuring')).result();
    expect(notes.all()).toContain('k function false');
    const line = await waitFor(() => running.lines.find(({ message }) => message === 'destructured'));
    expect(line).toMatchObject({ level: 'info', fields: { task: 'destructuring', key: 'k', attempt: 1 } });
  });

  test('lets an execution cancel itself', async () => {
    const { add } = await setUp(url(), threads, { tasks: CONFIGURED });
    const execution = await add('cancelsItself');
    await expect(execution.result()).rejects.toMatchObject({ code: 'DOCKET_EXECUTION_CANCELLED' });
    expect(notes.all()).toContain('DOCKET_EXECUTION_CANCELLED');
  });
});
