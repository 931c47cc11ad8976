/** Chapter 6: work whose result nobody needs. */
import { Docket, ResultsDisabledError } from 'docket';
import { expect, test } from 'vitest';
import { flaky, order } from '../fixtures/tasks/tutorial.js';
import { describeTutorial } from '../support/tutorial.js';

describeTutorial('fire and forget:', (tutorial) => {
  test('with executionTtl: 0 work is done, and nothing is kept of it', async () => {
    await using docket = new Docket({ ...tutorial.docketOptions, executionTtl: 0 });
    const execution = await docket.add(flaky, { succeedsAt: 2 }, { key: 'once' });
    await expect(execution.result()).rejects.toThrow(ResultsDisabledError);

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    expect(await docket.getExecution('once')).toBeNull();
  });

  test('the producer chooses what is kept, not the worker', async () => {
    await using forgetful = new Docket({ ...tutorial.docketOptions, executionTtl: 0 });
    await using careful = new Docket({ ...tutorial.docketOptions, executionTtl: '1m' });
    const forgotten = await forgetful.add(order, { prices: [1] });
    const kept = await careful.add(order, { prices: [2] });

    await using worker = tutorial.startWorker(forgetful);
    await worker.runUntilFinished();

    expect(await careful.getExecution(forgotten.key)).toBeNull();
    expect(await kept.result()).toEqual(expect.any(String));
  });
});
