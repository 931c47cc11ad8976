/** Redis says whether large messages may be on the streams, so that a read that brings many never meets them. */
import { call, task } from 'docket';
import { expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeEachServer } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const DAY_MS = 24 * 60 * 60 * 1_000;
const store = task('store', (_args: { data: string }) => {});
const small = { data: 'x'.repeat(10_000) };
const large = { data: 'x'.repeat(20_000) };

describeEachServer('a large message', (url) => {
  const stage = setStage(url);
  const lifetimeMs = async () => (await stage.redis()).pttl(stage.key('large'));

  test.each([0, '10m'] as const)(
    'is announced as it is added to a stream, a small one is not (executionTtl: %s)',
    async (executionTtl) => {
      const docket = stage.docket({ executionTtl });
      await docket.addMany([call(store, small), call(store, small)]);
      expect(await lifetimeMs()).toBe(-2);
      await docket.addMany([call(store, small), call(store, large), call(store, small)]);
      expect(await lifetimeMs()).toBeGreaterThan(29 * DAY_MS);
    },
  );

  test.each([0, '10m'] as const)('is announced as it becomes due (executionTtl: %s)', async (executionTtl) => {
    const docket = stage.docket({ executionTtl });
    await docket.add(store, large, { when: '100ms' });
    expect(await lifetimeMs()).toBe(-2);
    stage.work({ store });
    await waitFor(async () => (await lifetimeMs()) > 29 * DAY_MS);
  });
});
