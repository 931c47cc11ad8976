/** Chapter 10: what a task needs beside its arguments. */
import { Docket } from 'docket';
import { expect, test } from 'vitest';
import { charge, till } from '../fixtures/tasks/tutorial.js';
import { describeTutorial } from '../support/tutorial.js';

describeTutorial('dependencies', (tutorial) => {
  test('are made where the task runs, from its arguments and from each other', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(charge, { customer: 'Ada', amount: 20 });

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    expect(await execution.result()).toEqual(['the bank opens the account of Ada', 'charged 20']);
  });

  test('are cleaned up however the body ends, and its error is the one that counts', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(charge, { customer: 'Ada', amount: 1_000 });

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    await expect(execution.result()).rejects.toThrow(new RangeError('too much'));
  });

  test('that cannot be made fail the attempt, and are all named', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(till);

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    await expect(execution.result()).rejects.toThrow(AggregateError);
    await expect(execution.result()).rejects.toThrow(
      "dependencies of 'till' failed: drawer (Error: the drawer is stuck), printer (Error: out of paper)",
    );
  });
});
