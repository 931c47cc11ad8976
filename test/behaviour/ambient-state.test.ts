/** No attempt sees the AsyncLocalStorage stores of another, or of whatever else happens on its thread. */
import { expect, test } from 'vitest';
import { fixture, openFleet } from '../support/fleet.js';
import { describeBothModes } from '../support/suites.js';

const AMBIENT = fixture('ambient.js');

describeBothModes('an attempt', (url, threads) => {
  test('starts in a clean async context, and keeps the stores it enters to its end', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ tasks: AMBIENT, threads, concurrency: 8 });
    const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
    const seen = await Promise.all(
      keys.map(async (key, i) => (await fleet.docket.add(i % 2 ? 'enters' : 'entersAtOnce', {}, { key })).result()),
    );
    expect(seen).toEqual(keys.map((key, i) => (i % 2 ? [null, key, key, `${key} again`] : null)));
  });

  test('makes what its thread shares in a clean async context too', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ tasks: AMBIENT, threads });
    expect(await (await fleet.docket.add('made', {}, { key: 'k' })).result()).toBeNull();
  });
});
