/** What a server that writes every change to its disk before it answers still has after a crash. */
import { expect, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { streamOfAdds } from '../support/stream-of-adds.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeOnOwnRedis('a server with appendfsync always', (redis) => {
  test('keeps every acknowledged add through a crash at any moment', async () => {
    const fleet = await openFleet(redis().url);
    fleet.leavesWork();
    const adds = streamOfAdds(fleet.docket, fleet.probe, 50);
    for (let crashes = 0; crashes < 3; crashes++) {
      const before = adds.acknowledged.size;
      await waitFor(() => adds.acknowledged.size > before + 50);
      await redis().kill();
      await redis().start();
    }
    const { acknowledged } = await adds.stop();
    await fleet.worker({ concurrency: 50 });
    await waitFor(async () => {
      const steps = await fleet.steps();
      return [...acknowledged].every((key) => steps.some((step) => step.startsWith(`${key} `)));
    });
    expect(acknowledged.size).toBeGreaterThan(150);
  });
});
