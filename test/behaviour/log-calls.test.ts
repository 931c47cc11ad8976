/** What a task gives to its logger arrives, whatever it is, and no log call fails a task. */
import { expect, test } from 'vitest';
import { fixture, openFleet } from '../support/fleet.js';
import { describeBothModes } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeBothModes('a log call', (url, threads) => {
  test('may have an error, fields alone or nothing, and the attempt goes on', async () => {
    const fleet = await openFleet(url());
    const { lines } = await fleet.worker({ tasks: fixture('hostile.js'), threads });
    const execution = await fleet.docket.add('logsOddly', {}, { key: 'k' });
    expect(await execution.result()).toBe('done');
    const own = () => lines.filter(({ fields }) => fields.key === 'k');
    await waitFor(() => own().length === 4);
    const err = expect.stringMatching(/^Error: out of paper\n.*hostile\.js:/);
    expect(own().map(({ level, message, fields }) => [level, message, fields.err, fields.f])).toEqual([
      ['error', 'out of paper', err, undefined],
      ['error', 'printing page 1', err, undefined],
      ['info', '', undefined, '[Function: f]'],
      ['info', '', undefined, undefined],
    ]);
  });
});
