/** What becomes of an attempt that takes longer than its timeout. */
import { TimeoutError } from 'docket';
import type { WorkerOptions } from 'docket/worker';
import { expect, test } from 'vitest';
import { left, scheduled } from '../support/chains.js';
import { type Fleet, fixture, openFleet, type Running, shareWorker } from '../support/fleet.js';
import { type Notes, takeNotes } from '../support/notes.js';
import { describeEachMode, describeOnAnyServer } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const MODULE = fixture('timeouts.js');
const HOUR = 3_600_000;

interface Start {
  readonly key: string;
  readonly attempt: number;
  readonly thread: string;
  readonly redelivered: boolean;
}

/** The beginnings of bodies in notes. */
function startsIn(notes: readonly string[]): Start[] {
  return notes.map((line) => {
    const [key, attempt, thread, redelivered] = line.split(' ');
    return { key: key!, attempt: Number(attempt), thread: thread!, redelivered: redelivered === 'true' };
  });
}

function lossesOf({ lines }: Running): string[] {
  return lines.map(({ message }) => message).filter((message) => /worker thread/.test(message));
}

/** Waits until so many lines have said so. */
async function toldOf({ lines }: Running, text: string, times: number): Promise<void> {
  await waitFor(() => lines.filter(({ message }) => message.includes(text)).length === times, { timeoutMs: 25_000 });
}

/** What is noted of one key, by the first word. */
function stepsOf(notes: Notes, key: string): string[] {
  const lines = notes.all().map((line) => line.split(' '));
  return lines.filter(([, of]) => of === key).map(([step]) => step!);
}

describeEachMode('an attempt that takes longer than its timeout', (url, threads) => {
  const shared = shareWorker(url, { tasks: MODULE, threads, concurrency: 4 });

  /** The fleet with its worker, and how to add a task that notes what it does. */
  function setUp() {
    const { fleet, running } = shared();
    const notes = takeNotes();
    const add = (task: string, args: object = {}, key = 'k') =>
      fleet.docket.add(task, { file: notes.file, ...args }, { key });
    return { fleet, running, notes, add };
  }

  test('is aborted by its signal, and fails with a TimeoutError, even when its body returns', async () => {
    const { add, notes, running } = setUp();
    const executions = await Promise.all(['listen', 'returnLate'].map((how) => add('short', { how }, how)));
    for (const execution of executions) {
      await expect(execution.result()).rejects.toThrow(TimeoutError);
      await expect(execution.result()).rejects.toThrow("task 'short' took longer than its timeout of 250 ms");
      await execution.sync();
      expect(execution).toMatchObject({ state: 'failed', attempt: 1, error: expect.stringMatching(/^TimeoutError: /) });
    }
    expect(notes.of('reason')).toEqual(['listen TimeoutError DOCKET_TIMEOUT']);
    expect(notes.of('end')).toEqual(['returnLate 1']);
    expect(lossesOf(running)).toEqual([]);
  });

  test.each(['ask', 'look'])('can see it in a loop that never yields (%s)', async (how) => {
    const { add, notes, running } = setUp();
    const execution = await add('short', { how });
    await expect(execution.result()).rejects.toThrow(TimeoutError);
    if (how === 'look') expect(notes.of('seen')).toEqual(['k true']);
    expect(lossesOf(running)).toEqual([]);
  });

  test('may be given more time by its body', async () => {
    const { add, notes } = setUp();
    const execution = await add('second', { how: 'extend' });
    expect(await execution.result()).toBe('extended');
    const [before, after] = notes.of('left')[0]!.split(' ').slice(1).map(Number);
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThanOrEqual(1_000);
    expect(after).toBeGreaterThan(HOUR);
    expect(after).toBeLessThanOrEqual(HOUR + before!);
  });

  test('is followed by as many others as its policy allows, and does not end the chain of its task', async () => {
    const { add, fleet, notes, running } = setUp();
    const lean = fleet.with({ executionTtl: 0 });
    const before = Date.now();
    const args = { file: notes.file, how: 'listen' };
    const chain = await add('shortHourly', args, 'chain');
    const leanChain = await lean.add('shortHourly', args);
    await Promise.all([add('shortTwice', args, 'kept'), lean.add('shortTwice', args, { key: 'lean' })]);
    await toldOf(running, 'shortTwice failed: TimeoutError', 2);
    for (const { key } of [chain, leanChain]) {
      expect(Math.abs((await scheduled(fleet, { key })) - before - HOUR)).toBeLessThan(20_000);
      await fleet.docket.cancel(key);
    }
    await waitFor(async () => (await left(fleet)) === 0);
    const starts = startsIn(notes.of('start'));
    for (const key of ['kept', 'lean']) {
      expect(starts.filter((start) => start.key === key)).toMatchObject([
        { attempt: 1, redelivered: false },
        { attempt: 2, redelivered: false },
      ]);
    }
    expect(starts).toHaveLength(6);
  });

  test('before its body or in its clean-up fails as well, and what was made is cleaned up', async () => {
    const { add, notes } = setUp();
    const executions = [
      await add('shortWithResource', { making: 'returnLate' }, 'making'),
      await add('shortWithResource', { cleaning: 'returnLate' }, 'cleaning'),
    ];
    for (const execution of executions) await expect(execution.result()).rejects.toThrow(TimeoutError);
    expect(stepsOf(notes, 'making')).toEqual(['make', 'clean']);
    expect(stepsOf(notes, 'cleaning')).toEqual(['make', 'start', 'end', 'clean']);
  });
});

describeOnAnyServer('an attempt that does not end at its timeout', (url) => {
  /** One worker with a short grace, and how to add a task that notes what it does. */
  async function setUp(options: WorkerOptions = {}) {
    const fleet = await openFleet(url());
    const running = await fleet.worker({ tasks: MODULE, threads: 2, abortGrace: '200ms', ...options });
    const notes = takeNotes();
    const begun = (key: string) => waitFor(() => startsIn(notes.of('start')).some((start) => start.key === key));
    const add = (task: string, args: object = {}, key = 'k') =>
      fleet.docket.add(task, { file: notes.file, ...args }, { key });
    return { fleet, running, notes, begun, add };
  }

  /** The entries of both streams, by key. */
  async function fieldsOnStreams(fleet: Fleet): Promise<Record<string, string>[]> {
    const streams = await Promise.all(['work', 'front'].map((name) => fleet.redis.xrange(fleet.key(name), '-', '+')));
    const entries = streams.flat().map(([, fields]) => {
      return Object.fromEntries(fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1]!]] : [])));
    });
    return entries.sort((a, b) => a.k!.localeCompare(b.k!));
  }

  test('is terminated after the grace, with its thread, and affects no other task', async () => {
    const { fleet, add, notes, running } = await setUp({ abortGrace: '1s' });
    const neighbour = await add('plain', { how: 'hold' }, 'neighbour');
    await waitFor(() => notes.of('start').length === 1);
    const looping = await add('second', { how: 'loop' }, 'looping');
    await waitFor(() => notes.of('start').length === 2);
    const began = performance.now();
    const others = await Promise.all(Array.from({ length: 40 }, (_, i) => add('plain', {}, `other-${i}`)));

    await expect(looping.result()).rejects.toThrow(TimeoutError);
    const tookMs = performance.now() - began;
    expect(tookMs).toBeGreaterThan(1_000); // the timeout and the grace, from a start that is noticed late
    expect(tookMs).toBeLessThan(20_000);
    await Promise.all(others.map((execution) => execution.result())); // on the thread that took its place
    const [fields, ...more] = await fieldsOnStreams(fleet); // the neighbour, which still runs
    expect([fields!.k, more]).toEqual(['neighbour', []]);
    expect(Object.keys(fields!)).not.toEqual(expect.arrayContaining(['d']));
    expect(Object.keys(fields!)).not.toEqual(expect.arrayContaining(['c']));
    notes.open('held');
    await neighbour.result();

    const starts = startsIn(notes.of('start'));
    expect(new Set(starts.map(({ key }) => key)).size).toBe(starts.length);
    expect(starts.filter(({ redelivered }) => redelivered)).toEqual([]);
    expect(lossesOf(running)).toEqual(['a worker thread was ended and is replaced']);
    const [held, , ...rest] = starts.map(({ thread }) => thread);
    expect(rest).not.toContain(held);
    expect(running.lines.filter(({ message }) => message.includes('did not end at its timeout'))).toMatchObject([
      { level: 'warn', fields: { task: 'second', key: 'looping', attempt: 1 } },
    ]);
  });

  test('is followed by as many others as its policy allows, and does not end the chain of its task', async () => {
    const { add, fleet, notes, running } = await setUp();
    const lean = fleet.with({ executionTtl: 0 });
    const before = Date.now();
    const looping = { file: notes.file, how: 'block' };
    const leanChain = await lean.add('shortHourly', looping);
    const chain = await add('shortHourly', looping, 'chain');
    await lean.add('shortTwice', looping, { key: 'lean' });
    await add('shortTwice', looping, 'kept');
    await add('shortTwice', { how: 'blockOnce' }, 'recovering');
    for (const { key } of [chain, leanChain]) {
      expect(Math.abs((await scheduled(fleet, { key })) - before - HOUR)).toBeLessThan(30_000);
      await fleet.docket.cancel(key);
    }
    await toldOf(running, 'shortTwice failed: TimeoutError', 2);
    await notes.written('end recovering 2');
    await waitFor(async () => (await left(fleet)) === 0);
    const starts = startsIn(notes.of('start'));
    for (const key of ['kept', 'lean', 'recovering']) {
      expect(starts.filter((start) => start.key === key)).toMatchObject([
        { attempt: 1, redelivered: false },
        { attempt: 2, redelivered: false },
      ]);
    }
    expect(starts).toHaveLength(8);
  });

  test.each([
    [
      'waiting',
      {
        making: [{ making: 'hang' }, ['make']],
        cleaning: [{ cleaning: 'hang' }, ['make', 'start', 'end', 'clean']],
        late: [{ how: 'listen', cleaning: 'hang' }, ['make', 'start', 'reason', 'clean']],
      },
    ],
    [
      'holding its thread',
      {
        making: [{ making: 'block' }, ['make']],
        cleaning: [{ cleaning: 'block' }, ['make', 'start', 'end', 'clean']],
      },
    ],
  ] as const)('while its dependencies are made or cleaned up, %s, is terminated with its thread', async (_, cases) => {
    const { add, notes, running } = await setUp({ threads: Object.keys(cases).length });
    for (const [key, [args]] of Object.entries(cases)) await add('shortTwiceWithResource', args, key);
    await toldOf(running, 'shortTwiceWithResource failed: TimeoutError', Object.keys(cases).length);
    for (const [key, [, steps]] of Object.entries(cases)) {
      expect(stepsOf(notes, key)).toEqual([...steps, ...steps]);
      const threads = notes.of('make').map((line) => line.split(' '));
      expect(new Set(threads.filter(([of]) => of === key).map(([, , thread]) => thread)).size).toBe(2);
    }
    await waitFor(() => lossesOf(running).length === 2 * Object.keys(cases).length);
  });

  test('but leaves its thread to others is terminated after they have ended', async () => {
    const { add, begun, notes, running } = await setUp({ threads: 1, concurrency: 3 });
    const neighbour = await add('plain', { how: 'hold' }, 'neighbour');
    await begun('neighbour');
    const hanging = await add('short', { how: 'hang' }, 'hanging');
    await begun('hanging');
    const overdueMs = performance.now() + 250 + 200 + 150; // timeout, grace, until it is noticed
    await waitFor(() => performance.now() > overdueMs);
    const late = await add('plain', {}, 'late'); // for another thread
    expect(notes.of('start')).toHaveLength(2);
    expect(lossesOf(running)).toEqual([]);
    notes.open('held');
    await neighbour.result();
    await expect(hanging.result()).rejects.toThrow(TimeoutError);
    await late.result();
    const starts = startsIn(notes.of('start'));
    expect(starts.map(({ key, redelivered }) => [key, redelivered])).toEqual([
      ['neighbour', false],
      ['hanging', false],
      ['late', false],
    ]);
    expect(starts[2]!.thread).not.toBe(starts[0]!.thread);
    expect(lossesOf(running)).toEqual(['a worker thread was ended and is replaced']);
  });

  test('but holds its thread is terminated at once, and others on that thread are redelivered uncharged', async () => {
    const { add, begun, fleet, notes, running } = await setUp({ threads: 1, concurrency: 3 });
    const neighbours = await Promise.all(['a', 'b'].map((key) => add('plain', { how: 'hold' }, key)));
    await Promise.all(['a', 'b'].map((key) => begun(key)));
    const looping = await add('short', { how: 'loop' }, 'looping');
    await expect(looping.result()).rejects.toThrow(TimeoutError);
    await waitFor(() => notes.of('start').length === 5);
    expect(await fieldsOnStreams(fleet)).toEqual([
      expect.objectContaining({ k: 'a', d: '1' }),
      expect.objectContaining({ k: 'b', d: '1' }),
    ]);
    for (const fields of await fieldsOnStreams(fleet)) expect(fields).not.toHaveProperty('c');
    notes.open('held');
    await Promise.all(neighbours.map((execution) => execution.result()));
    const starts = startsIn(notes.of('start'));
    for (const key of ['a', 'b']) {
      expect(starts.filter((start) => start.key === key)).toMatchObject([
        { attempt: 1, redelivered: false },
        { attempt: 1, redelivered: true },
      ]);
    }
    expect(lossesOf(running)).toEqual(['a worker thread was ended and is replaced']);
  });
});
