/** Cancels in a docket with four partitions: of what is under a key, and of ids that no partition knows. */
import { call, task } from 'docket';
import { expect, test } from 'vitest';
import { divide, keyIn, keysOfAll } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer } from '../../support/suites.js';

const COUNT = 4;
const ALL = [0, 1, 2, 3];
const MINUTE_MS = 60_000;

describeEachServer('a cancel in a docket with four partitions', (url) => {
  const stage = setStage(url);

  async function divided() {
    const docket = stage.docket({ executionTtl: 0 });
    await divide(docket, COUNT);
    return { docket, redis: await stage.redis(), keys: keysOfAll(stage.name, COUNT) };
  }

  test('of an execution under a key is remembered nowhere', async () => {
    const { redis, keys } = await divided();
    const note = task('note', (_args: {}) => {});
    const docket = stage.docket();
    await docket.addMany(ALL.map((partition) => call(note, {}, { key: keyIn(partition, COUNT, 'other') })));
    for (const partition of ALL) {
      const { key } = await docket.add(note, {}, { key: keyIn(partition, COUNT) });
      expect(await docket.cancel(key)).toEqual({ state: 'queued', outcome: 'removed' });
    }
    expect(await Promise.all(keys.map(({ cancelled }) => redis.exists(cancelled)))).toEqual([0, 0, 0, 0]);
  });

  test('of an id is honoured in whichever partition the execution is', async () => {
    const { docket } = await divided();
    const ran: number[] = [];
    const note = task('note', ({ n }: { n: number }) => void ran.push(n));
    const handles = [];
    for (let n = 0; n < 20; n++) handles.push(await docket.add(note, { n }));
    for (const { key } of handles.slice(1)) await docket.cancel(key);
    await stage.finish({ note });
    expect(ran).toEqual([0]);
  });

  test('is remembered as long as the docket has as many entries, since each partition hears of all ids', async () => {
    const { docket, redis, keys } = await divided();
    const fill = "for i = 1, 6000 do redis.call('XADD', KEYS[1], '*', 'm', '') end";
    for (const { work } of keys) await redis.eval(fill, 1, work);
    const members = Array.from({ length: 20_000 }, (_, i) => [Date.now() + MINUTE_MS + i, `id ${i}`]);
    await redis.zadd(keys[2]!.cancelled, ...members.flat());
    await docket.cancel('one more');
    expect(await redis.zcard(keys[2]!.cancelled)).toBe(20_001);
    expect(await redis.zcard(keys[1]!.cancelled)).toBe(1);
  });
});
