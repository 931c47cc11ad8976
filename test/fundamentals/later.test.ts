/** Chapter 2: work for later. */
import { Docket } from 'docket';
import { expect, test } from 'vitest';
import { greet } from '../fixtures/tasks/tutorial.js';
import { describeTutorial } from '../support/tutorial.js';

describeTutorial('work for later:', (tutorial) => {
  test('an execution waits until its time has come', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const execution = await docket.add(greet, { name: 'Ada' }, { when: '300ms' });
    expect(execution.state).toBe('scheduled');

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished(); // waits for what is scheduled

    await execution.sync();
    expect(execution.state).toBe('completed');
    expect(execution.startedAt?.getTime()).toBeGreaterThanOrEqual(execution.when.getTime());
  });

  test('a time is a duration from now or a date, and the past means now', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const now = await docket.add(greet, { name: 'Grace' }, { when: new Date('2001-01-01') });
    const soon = await docket.add(greet, { name: 'Ada' }, { when: new Date(Date.now() + 1_000) });
    expect([now.state, soon.state]).toEqual(['queued', 'scheduled']);

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    expect(await Promise.all([now.result(), soon.result()])).toEqual(['hello Grace', 'hello Ada']);
  });
});
