/** Chapter 4: many at once. */
import { call, Docket } from 'docket';
import { expect, test } from 'vitest';
import { greet, multiply } from '../fixtures/tasks/tutorial.js';
import { describeTutorial } from '../support/tutorial.js';

describeTutorial('many at once:', (tutorial) => {
  test('a batch is added in one go, and its handles have the order of the calls', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const numbers = Array.from({ length: 500 }, (_, i) => i);
    const executions = await docket.addMany(numbers.map((n) => call(multiply, { a: n, b: n })));

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    const squares = await Promise.all(executions.map((execution) => execution.result()));
    expect(squares).toEqual(numbers.map((n) => n * n));
  });

  test('a batch may mix tasks, keys and times', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const [greeting, product, repeated] = await docket.addMany([
      call(greet, { name: 'Ada' }, { key: 'greeting', when: '100ms' }),
      call(multiply, { a: 6, b: 7 }),
      call(greet, { name: 'somebody else' }, { key: 'greeting' }),
    ]);
    expect(repeated?.disposition).toBe('already_scheduled');

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    expect(await greeting?.result()).toBe('hello Ada');
    expect(await product?.result()).toBe(42);
    expect(await repeated?.result()).toBe('hello Ada');
  });

  test('adds that are made together travel together', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const worker = tutorial.startWorker(docket);
    const running = worker.runForever();

    const names = Array.from({ length: 100 }, (_, i) => `guest ${i}`);
    const greetings = await Promise.all(
      names.map(async (name) => {
        const execution = await docket.add(greet, { name });
        return await execution.result();
      }),
    );
    expect(greetings).toEqual(names.map((name) => `hello ${name}`));

    await worker.close();
    await running;
  });
});
