/** Chapter 9: not too many at once, not too often. */
import { Docket, ExecutionCancelledError } from 'docket';
import { expect, test } from 'vitest';
import { reindex, remind, ship } from '../fixtures/tasks/tutorial.js';
import { describeTutorial } from '../support/tutorial.js';

describeTutorial('limits:', (tutorial) => {
  test('a concurrency limit lets one run at a time for each customer; the others wait for their turn', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const customers = ['Ada', 'Ada', 'Ada', 'Grace'];
    const executions = await Promise.all(customers.map((customer) => docket.add(ship, { customer })));

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    const [first, second, third, other] = await Promise.all(executions.map((execution) => execution.result()));
    expect(second!.from.getTime()).toBeGreaterThanOrEqual(first!.to.getTime());
    expect(third!.from.getTime()).toBeGreaterThanOrEqual(second!.to.getTime());
    expect(other!.customer).toBe('Grace');
  });

  test('a cooldown lets the first execution through, and drops those that follow soon', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const worker = tutorial.startWorker(docket);
    const running = worker.runForever();

    const first = await docket.add(remind, { customer: 'Ada' });
    expect(await first.result()).toBe('reminded Ada');
    const soon = await docket.add(remind, { customer: 'Ada' });
    const other = await docket.add(remind, { customer: 'Grace' });
    await expect(soon.result()).rejects.toThrow(ExecutionCancelledError);
    expect(await other.result()).toBe('reminded Grace');

    await worker.close();
    await running;
  });

  test('a debounce runs the last submission only, when it has been quiet for a while', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const first = await docket.add(reindex, { product: 'tea', price: 3 });
    const last = await docket.add(reindex, { product: 'tea', price: 4 });

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    await expect(first.result()).rejects.toThrow(ExecutionCancelledError);
    expect(await last.result()).toBe(4);
  });
});
