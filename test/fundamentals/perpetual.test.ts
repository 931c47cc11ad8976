/** Chapter 7: work that comes again. */
import { Docket, ExecutionCancelledError, perpetual, task } from 'docket';
import { Worker } from 'docket/worker';
import { expect, test } from 'vitest';
import { newsletter, stocktake } from '../fixtures/tasks/tutorial.js';
import { describeTutorial } from '../support/tutorial.js';

describeTutorial('work that comes again:', (tutorial) => {
  test('a perpetual task runs again and again under its key, until it says that it is done', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(stocktake, { shelves: ['tea', 'coffee', 'cocoa'] }, { key: 'stocktake' });

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished(); // which never ends with a chain that goes on

    expect(await (await docket.getExecution(execution.key))?.result()).toBe('took stock of cocoa');
  });

  test('a task follows the clock on the wall', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const worker = tutorial.startWorker(docket);
    const running = worker.runForever();

    const first = await docket.add(newsletter, {}, { key: 'newsletter' }); // now, and from then on at nine
    await expect(first.result()).rejects.toThrow('superseded');

    const next = await docket.getExecution('newsletter');
    expect(next?.state).toBe('scheduled');
    expect(next?.when.toLocaleTimeString('de-DE', { timeZone: 'Europe/Berlin' })).toBe('09:00:00');

    await docket.cancel('newsletter'); // ends the chain
    await expect(next?.result()).rejects.toThrow(ExecutionCancelledError);
    await worker.close();
    await running;
  });

  test('an automatic task is started by the workers themselves, once for all of them', async () => {
    const runs: string[] = [];
    const sweep = task('sweep', { perpetual: perpetual({ every: '1h', automatic: true }) }, (_args: {}, ctx) => {
      runs.push(ctx.key);
      ctx.perpetual.cancel(); // here, so that this chapter ends
    });

    await using docket = new Docket(tutorial.docketOptions);
    await using one = new Worker(docket, { tasks: { sweep }, threads: 0, minimumCheckInterval: '50ms' });
    await using other = new Worker(docket, { tasks: { sweep }, threads: 0, minimumCheckInterval: '50ms' });
    await Promise.all([one.runUntilFinished(), other.runUntilFinished()]);

    expect(runs).toEqual(['sweep']);
  });
});
