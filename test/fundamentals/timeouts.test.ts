/** Chapter 8: work that takes too long. */
import { Docket, TimeoutError } from 'docket';
import { expect, test } from 'vitest';
import { appraise, count, quote } from '../fixtures/tasks/tutorial.js';
import { describeTutorial } from '../support/tutorial.js';

describeTutorial('work that takes too long', (tutorial) => {
  test('fails when its time is over: its signal aborts, and whatever listens to it ends', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(quote);

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    await expect(execution.result()).rejects.toThrow(TimeoutError);
    await expect(execution.result()).rejects.toThrow("task 'quote' took longer than its timeout of 100 ms");
  });

  test('is interrupted even in a loop that never yields', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(count);

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    await expect(execution.result()).rejects.toThrow(TimeoutError);
  });

  test('can ask for more time', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(appraise, { pieces: 60 });

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    expect(await execution.result()).toBe('takes its time');
  });
});
