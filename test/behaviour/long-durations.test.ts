/** Durations of thousands of years: the scripts pass on numbers that Lua alone would not write in full. */
import { collection, debounce, rateLimit, task } from 'docket';
import { expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeOnEmbedded, describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const AGES = '3000000d';
const AGES_MS = 3_000_000 * 24 * 60 * 60 * 1_000;

const NAME = 'a duration of thousands of years';

describeOnRedis(NAME, suite);
describeOnEmbedded(NAME, suite); // whose Lua writes fewer digits

function suite(url: () => string): void {
  const stage = setStage(url);

  test('can be the TTL of an execution that is cancelled or cleared before it starts', async () => {
    const docket = stage.docket({ executionTtl: AGES });
    const redis = await stage.redis();
    await docket.add('none', {}, { key: 'cancelled' });
    await docket.add('none', {}, { key: 'later', when: '1h' });
    await docket.add('none', {}, { key: 'cleared' });
    await docket.cancel('cancelled');
    await docket.cancel('later');
    expect(await docket.clear()).toBe(1);
    for (const key of ['cancelled', 'later', 'cleared']) {
      expect(await stage.record(key)).toMatchObject({ s: 'cancelled' });
      expect(await redis.pttl(stage.key(`run:${key}`))).toBeGreaterThan(AGES_MS - 60_000);
    }
  });

  test('can be the time of a limit, and its maximum can be as large', async () => {
    const redis = await stage.redis();
    const settled = task('settled', { limits: [debounce({ settle: AGES })] }, () => {});
    const wide = task('wide', { limits: [rateLimit({ max: AGES_MS, per: AGES })] }, () => {});
    const narrow = task('narrow', { limits: [rateLimit({ max: 1, per: AGES })] }, () => {});
    const docket = stage.docket();
    stage.work(collection(settled, wide, narrow));
    await docket.add(settled);
    for (let i = 0; i < 2; i++) await (await docket.add(wide)).result();
    await (await docket.add(narrow)).result();
    await docket.add(narrow);
    await waitFor(async () => (await redis.zcard(stage.key('schedule'))) === 2);
    for (const key of ['debounce:settled', 'rate:wide', 'rate:narrow', 'booked:narrow']) {
      expect(await redis.pttl(stage.key(key))).toBeGreaterThan(AGES_MS - 60_000);
    }
  });
}
