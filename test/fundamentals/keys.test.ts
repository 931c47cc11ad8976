/** Chapter 3: a key makes an add safe to repeat: while its execution is under way, and with `once` also afterwards. */
import { Docket } from 'docket';
import { expect, test } from 'vitest';
import { greet } from '../fixtures/tasks/tutorial.js';
import { describeTutorial } from '../support/tutorial.js';

describeTutorial('keys:', (tutorial) => {
  test('a key is taken while its execution is under way, and the first execution wins', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const first = await docket.add(greet, { name: 'Ada' }, { key: 'welcome-17' });
    const second = await docket.add(greet, { name: 'somebody else' }, { key: 'welcome-17' });
    expect([first.disposition, second.disposition]).toEqual(['scheduled', 'already_scheduled']);

    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    expect(await first.result()).toBe('hello Ada');
    expect(await second.result()).toBe('hello Ada');
  });

  test('a key is free again when its execution is over', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    const worker = tutorial.startWorker(docket);
    const running = worker.runForever();

    for (const name of ['Ada', 'Grace']) {
      const execution = await docket.add(greet, { name }, { key: 'welcome' });
      expect(execution.disposition).toBe('scheduled');
      expect(await execution.result()).toBe(`hello ${name}`);
    }

    await worker.close();
    await running;
  });

  test('the key of an add with once stays taken after its execution has ended', async () => {
    await using docket = new Docket(tutorial.docketOptions);
    await docket.add(greet, { name: 'Ada' }, { key: 'welcome-17', once: true });
    await using worker = tutorial.startWorker(docket);
    await worker.runUntilFinished();

    const again = await docket.add(greet, { name: 'Ada' }, { key: 'welcome-17', once: true });
    expect(again.disposition).toBe('already_scheduled');
    expect(await again.result()).toBe('hello Ada');
  });
});
