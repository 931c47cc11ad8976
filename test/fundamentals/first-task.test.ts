/** Chapter 1: a task is added by one process, run by another one, and its result comes back. */
import { Docket, task } from 'docket';
import { Worker } from 'docket/worker';
import { expect, test } from 'vitest';
import { greet, multiply, order } from '../fixtures/tasks/tutorial.js';
import { describeTutorial } from '../support/tutorial.js';

describeTutorial('a first task:', (tutorial) => {
  test('a worker runs what is added, and the result comes back', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(greet, { name: 'Ada' });

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    expect(await execution.result()).toBe('hello Ada');
  });

  test('a worker may be there first, and goes on until it is closed', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const worker = tutorial.startWorker(docket);
    const running = worker.runForever();

    const execution = await docket.add(multiply, { a: 6, b: 7 });
    expect(await execution.result()).toBe(42);

    await worker.close();
    await running;
  });

  test('an execution shows how it is getting on', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(greet, { name: 'Ada' });
    expect(execution).toMatchObject({ task: 'greet', args: { name: 'Ada' }, state: 'queued', worker: null });

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    await execution.sync();
    expect(execution).toMatchObject({ state: 'completed', attempt: 1, worker: worker.name, error: null });
    expect(execution.completedAt).toBeInstanceOf(Date);
  });

  test('a key finds its execution, whose result can be waited for', async () => {
    await using producer = new Docket(tutorial.docketOptions);
    const { key } = await producer.add(multiply, { a: 6, b: 7 });

    await using reader = new Docket(tutorial.docketOptions);
    const found = await reader.getExecution(key);
    await using worker = tutorial.startWorker(reader);
    await worker.runUntilFinished();

    expect(await found?.result()).toBe(42);
    expect(await reader.getExecution('never added')).toBeNull();
  });

  test('a task adds further work through its context', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(order, { prices: [10, 20] });

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    const receipt = await docket.getExecution(await execution.result());
    expect(await receipt?.result()).toBe('hello customer who owes 30');
  });

  test('with threads: 0 tasks need no module of their own', async () => {
    const shout = task('shout', ({ text }: { text: string }) => text.toUpperCase());

    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(shout, { text: 'hello' });
    await using worker = new Worker(docket, { tasks: { shout }, threads: 0, minimumCheckInterval: '50ms' });
    await worker.runUntilFinished();

    expect(await execution.result()).toBe('HELLO');
  });
});
