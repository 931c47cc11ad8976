/** What tasks can do to their thread, and to nothing else: the coordinator trusts nothing that comes from there. */
import { expect, onTestFinished, test } from 'vitest';
import { fixture, openFleet, startCommand } from '../support/fleet.js';
import { takeNotes } from '../support/notes.js';
import { describeOnAnyServer } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const HOSTILE = fixture('hostile.js');

describeOnAnyServer('the thread of a task', (url) => {
  test('may post anything to its parentPort, and nobody reads it', async () => {
    const fleet = await openFleet(url());
    const { lines } = await fleet.worker({ tasks: HOSTILE, threads: 1 });
    const thread = await (await fleet.docket.add('posts', {})).result();
    expect(await (await fleet.docket.add('works', { value: 1 })).result()).toBe(1);
    expect(await (await fleet.docket.add('posts', {})).result()).toBe(thread);
    expect(lines.filter(({ message }) => message === 'never seen')).toEqual([]);
  });

  test('may close its parentPort, and loses no outcome and no log line', async () => {
    const fleet = await openFleet(url());
    const { lines } = await fleet.worker({ tasks: HOSTILE, threads: 1, concurrency: 5 });
    const thread = await (await fleet.docket.add('closes', {})).result();
    const values = Array.from({ length: 40 }, (_, value) => value);
    const executions = await Promise.all(values.map((value) => fleet.docket.add('works', { value })));
    expect(await Promise.all(executions.map((execution) => execution.result()))).toEqual(values);
    await waitFor(() => lines.filter(({ message }) => message === 'works').length === values.length);
    const threads = new Set(lines.filter(({ message }) => message === 'works').map(({ fields }) => fields.thread));
    expect([...threads]).toEqual([thread]);
  });

  test('finds neither the settings of the worker nor its ports in workerData', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ tasks: HOSTILE, threads: 1 });
    const { workerData } = (await (await fleet.docket.add('looks', {})).result()) as { workerData: unknown };
    expect(workerData ?? null).toBeNull();
  });

  test.each([0, 1, 2])('may close any port that it finds, such as number %d, and the worker goes on', async (index) => {
    const fleet = await openFleet(url());
    await fleet.worker({ tasks: HOSTILE, threads: 1, maxDeliveries: 1 });
    const culprit = await fleet.docket.add('closesPort', { index });
    await culprit.result().catch(() => {}); // it may have lost its thread
    expect(await (await fleet.docket.add('works', { value: 1 })).result()).toBe(1);
  });

  test.each([
    ['text', 0],
    ['no batch', 7],
    ['a batch without numbers', 8],
    ['a log line without a level', 9],
    ['counts of nonsense', 11],
  ])('is ended when it sends %s in place of outcomes, and the worker goes on', async (_, at) => {
    const fleet = await openFleet(url());
    const { lines } = await fleet.worker({ tasks: HOSTILE, threads: 1, maxDeliveries: 1 });
    const warned: Error[] = [];
    const note = (warning: Error) => void warned.push(warning);
    process.on('warning', note);
    onTestFinished(() => void process.off('warning', note));
    const culprit = await fleet.docket.add('forges', { at });
    await expect(culprit.result()).rejects.toMatchObject({
      code: 'DOCKET_POISONED',
      message: expect.stringContaining('sent what no thread sends'),
    });
    expect(await (await fleet.docket.add('works', { value: 1 })).result()).toBe(1);
    const deaths = lines.filter(({ message }) => message.startsWith('a worker thread '));
    expect(deaths.map(({ message }) => message)).toEqual([
      'a worker thread died and is replaced: sent what no thread sends',
    ]);
    expect(warned).toEqual([]);
  });

  test.each(['null', 'undefined', 'text', 'symbol', 'function', 'unreadable', 'proxy'])(
    'may die of anything that is thrown, such as %s, and is replaced',
    async (what) => {
      const fleet = await openFleet(url());
      const { lines } = await fleet.worker({ tasks: HOSTILE, threads: 1, maxDeliveries: 1 });
      const culprit = await fleet.docket.add('throwsWhileRunning', { what });
      await expect(culprit.result()).rejects.toMatchObject({ code: 'DOCKET_POISONED' });
      expect(await (await fleet.docket.add('works', { value: 1 })).result()).toBe(1);
      expect(lines.filter(({ message }) => message.startsWith('a worker thread '))).toHaveLength(1);
    },
  );

  test('may die each time after a task returned, and the worker goes on', async () => {
    const fleet = await openFleet(url());
    const command = startCommand([
      ...['--url', fleet.url, '--docket', fleet.name, '--tasks', HOSTILE, '--logging-format', 'json'],
      ...['--threads', '1'],
    ]);
    onTestFinished(async () => {
      command.process.kill('SIGTERM');
      await command.ended;
    });
    await command.ready();
    const deaths = () => command.lines.filter(({ message }) => message.startsWith('a worker thread died')).length;
    for (let i = 1; i <= 7; i++) {
      expect(await (await fleet.docket.add('throwsLater', { what: 'error', ms: 30 })).result()).toEqual(
        expect.any(Number),
      );
      await waitFor(() => deaths() === i);
    }
    expect(await (await fleet.docket.add('works', { value: 1 })).result()).toBe(1);
    expect(command.process.exitCode).toBeNull();
  });

  test('dies alone: a worker process goes on, and so does what runs on its other threads', async () => {
    const fleet = await openFleet(url());
    const command = startCommand([
      ...['--url', fleet.url, '--docket', fleet.name, '--tasks', HOSTILE, '--logging-format', 'json'],
      ...['--threads', '2', '--concurrency', '2', '--max-deliveries', '1'],
    ]);
    onTestFinished(async () => {
      command.process.kill('SIGTERM');
      await command.ended;
    });
    await command.ready();
    for (const what of ['null', 'undefined']) {
      const { file, written } = takeNotes();
      const bystander = await fleet.docket.add('works', { value: what, ms: 1_000 }, { key: `bystander-${what}` });
      await fleet.docket.add('posts', {});
      const culprit = await fleet.docket.add('throwsWhileRunning', { what, file }, { key: `culprit-${what}` });
      await written('started');
      await expect(culprit.result()).rejects.toMatchObject({ code: 'DOCKET_POISONED' });
      expect(await bystander.result()).toBe(what);
    }
    expect(command.process.exitCode).toBeNull();
  });
});
