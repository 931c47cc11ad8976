/** The clock of a worker may be wrong: only that of the server counts. */
import { expect, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { describeOnRedis } from '../support/suites.js';

/** Sets the clock of a process ten minutes ahead. */
const AHEAD = new URL('../../dist/test/chaos/shifted-clock.js', import.meta.url).href;

describeOnRedis('a worker whose clock is ten minutes ahead', (url) => {
  test('starts nothing before its time', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const command = fleet.command(['--name', 'ahead', '--threads', '1'], { NODE_OPTIONS: `--import=${AHEAD}` });
    await command.ready();
    const { time } = JSON.parse(command.errors[0]!) as { readonly time: number };
    expect(time).toBeGreaterThan(Date.now() + 5 * 60_000); // its clock is wrong indeed
    const delayed = await docket.add('counted', { probe }, { when: '2s' });
    await delayed.result();
    await delayed.sync();
    expect(delayed.worker).toBe('ahead');
    expect(delayed.startedAt!.getTime()).toBeGreaterThanOrEqual(delayed.when.getTime());
  });
});
