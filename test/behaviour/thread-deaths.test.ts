/** The log of a thread's death says what ended it, where, and what it ran. */
import { PoisonedError } from 'docket';
import { expect, test } from 'vitest';
import { fixture, openFleet } from '../support/fleet.js';
import type { Line } from '../support/logger.js';
import { takeNotes } from '../support/notes.js';
import { describeOnAnyServer } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const HOSTILE = fixture('hostile.js');
const WHERE = { docket: expect.any(String), worker: expect.any(String) };
const deathsIn = (lines: readonly Line[]) => lines.filter(({ message }) => message.startsWith('a worker thread died'));

describeOnAnyServer('what ended a thread', (url) => {
  test.each(['a rejected promise', 'an emitter', 'a timer'])(
    'is logged with its stack and what it ran, and is the cause of the PoisonedError: %s',
    async (how) => {
      const fleet = await openFleet(url());
      const { lines } = await fleet.worker({ tasks: HOSTILE, threads: 1, maxDeliveries: 1 });
      const execution = await fleet.docket.add('dies', { how }, { key: 'k' });
      const error = (await execution.result().catch((thrown) => thrown)) as PoisonedError;
      expect(error).toBeInstanceOf(PoisonedError);
      expect(error.message).toContain(`the last one ended with: TypeError: died of ${how}`);
      expect(error.cause).toBeInstanceOf(TypeError);
      expect(error.cause).toMatchObject({ message: `died of ${how}`, detail: 7 });
      expect((error.cause as Error).stack).toContain('hostile.js:');
      await execution.sync();
      expect(execution.error).toContain(`TypeError: died of ${how}`);
      await waitFor(() => deathsIn(lines).length === 1);
      expect(deathsIn(lines)).toEqual([
        {
          level: 'error',
          message: `a worker thread died and is replaced: TypeError: died of ${how}`,
          fields: { ...WHERE, lane: 0, task: 'dies', key: 'k', stack: expect.stringContaining('hostile.js:') },
        },
      ]);
    },
  );

  test('is logged in a line of bounded length, however long the error is', async () => {
    const fleet = await openFleet(url());
    const { lines } = await fleet.worker({ tasks: HOSTILE, threads: 1, maxDeliveries: 1 });
    const execution = await fleet.docket.add('dies', { how: 'many words' }, { key: 'k' });
    const error = (await execution.result().catch((thrown) => thrown)) as PoisonedError;
    expect(error.message.length).toBeLessThan(1_000);
    await waitFor(() => deathsIn(lines).length === 1);
    expect(deathsIn(lines)[0]!.message.length).toBeLessThan(1_000);
  });

  test('is logged for an exit, too, which has no stack', async () => {
    const fleet = await openFleet(url());
    const { lines } = await fleet.worker({ tasks: HOSTILE, threads: 1, maxDeliveries: 1 });
    const execution = await fleet.docket.add('dies', { how: 'an exit' }, { key: 'k' });
    await expect(execution.result()).rejects.toThrow(/the last one ended with: exited with code 3$/);
    await waitFor(() => deathsIn(lines).length === 1);
    expect(deathsIn(lines)).toEqual([
      {
        level: 'error',
        message: 'a worker thread died and is replaced: exited with code 3',
        fields: { ...WHERE, lane: 0, task: 'dies', key: 'k' },
      },
    ]);
  });

  test('is logged with all that ran when several did, and with nothing when nothing did', async () => {
    const fleet = await openFleet(url());
    const { lines } = await fleet.worker({ tasks: HOSTILE, threads: 1, concurrency: 2, maxDeliveries: 1 });
    const { file, written, open } = takeNotes();
    const bystander = await fleet.docket.add('waits', { file }, { key: 'b' });
    await written('waits');
    const culprit = await fleet.docket.add('dies', { how: 'a timer', file }, { key: 'c' });
    await waitFor(async () => {
      await culprit.sync();
      return culprit.state === 'running';
    });
    open('die');
    await expect(culprit.result()).rejects.toThrow(PoisonedError);
    open('end');
    await bystander.result();
    await (await fleet.docket.add('throwsLater', { what: 'error', ms: 50 }, { key: 'd' })).result();
    await waitFor(() => deathsIn(lines).some(({ message }) => message.endsWith('Error: left over')));
    const running = [
      { task: 'waits', key: 'b' },
      { task: 'dies', key: 'c' },
    ];
    expect(deathsIn(lines)[0]!.fields).toMatchObject({ running: expect.arrayContaining(running) });
    expect(deathsIn(lines).at(-1)!.fields).toEqual({
      ...WHERE,
      lane: 0,
      running: [],
      stack: expect.stringContaining('hostile.js:'),
    });
  });
});
