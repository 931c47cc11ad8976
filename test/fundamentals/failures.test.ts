/** Chapter 5: errors and retries. */
import { Docket, InvalidOptionError, TimeoutError } from 'docket';
import { expect, test } from 'vitest';
import { divide, flaky, greet, track } from '../fixtures/tasks/tutorial.js';
import { describeTutorial } from '../support/tutorial.js';

describeTutorial('errors and retries:', (tutorial) => {
  test('an error of a task is thrown to those who wait for its result', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(divide, { a: 1, b: 0 });

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    await expect(execution.result()).rejects.toThrow(new RangeError('division by zero'));
    await execution.sync();
    expect(execution).toMatchObject({ state: 'failed', error: 'RangeError: division by zero' });
  });

  test('a task with a retry policy gets more attempts', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const third = await docket.add(flaky, { succeedsAt: 3 });
    const never = await docket.add(flaky, { succeedsAt: 99 });

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    expect(await third.result()).toBe('attempt 3 succeeded');
    await expect(never.result()).rejects.toThrow('attempt 3 failed');
  });

  test('a task can ask for another attempt', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(track, { arrivesAt: 5 });

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    expect(await execution.result()).toBe('arrived, looked 5 times');
  });

  test('waiting can be given up, and the execution goes on', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(greet, { name: 'Ada' });
    await expect(execution.result({ timeout: '20ms' })).rejects.toThrow(TimeoutError);

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();
    expect(await execution.result()).toBe('hello Ada');
  });

  test('impossible options are refused before anything is written', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    await expect(docket.add(greet, { name: 'Ada' }, { key: '' })).rejects.toThrow(InvalidOptionError);
    await expect(docket.add(greet, { name: 'Ada' }, { when: new Date('someday') })).rejects.toThrow(
      'the date is invalid',
    );
  });
});
