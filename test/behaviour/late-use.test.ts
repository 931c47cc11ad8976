/** What a body leaves behind, such as a timer, may use its context when the attempt has long ended. */
import { expect, test } from 'vitest';
import { fixture, openFleet } from '../support/fleet.js';
import { takeNotes } from '../support/notes.js';
import { describeBothModes } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeBothModes('progress that is reported after its attempt has ended', (url, threads) => {
  test('is not written into the executions that run there then', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ tasks: fixture('hostile.js'), threads, concurrency: 8 });
    const [late, waiting] = [takeNotes(), takeNotes()];
    const leaving = Array.from({ length: 8 }, () => fleet.docket.add('usesLate', { file: late.file }));
    for (const execution of await Promise.all(leaving)) await execution.result();
    const bystanders = await Promise.all(
      Array.from({ length: 8 }, (_, i) => fleet.docket.add('waits', { file: waiting.file }, { key: `b${i}` })),
    );
    await waiting.written('waits', 8);
    await late.written('used', 8);
    waiting.open('end');
    for (const execution of bystanders) {
      await execution.result();
      await execution.sync();
      const { current, total, message } = execution.progress;
      expect([current, total, message]).toEqual([0, 100, null]);
    }
    await waitFor(async () => (await fleet.pending()) === 0);
  });
});
