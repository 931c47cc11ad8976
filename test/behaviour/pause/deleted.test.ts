/** Somebody deletes the pauses from Redis, where nobody hears of it. */
import { task } from 'docket';
import { expect, test } from 'vitest';
import { importBuilt } from '../../support/built.js';
import { setStage } from '../../support/stage.js';
import { describeOnRedis } from '../../support/suites.js';
import { waitFor } from '../../support/wait.js';
import { inLine, placeOf, untilInLine, untilNothingIsLeft } from './pauses.js';

const { mendLost } = await importBuilt<typeof import('../../../src/redis/sweep-store.js')>('redis/sweep-store.js');
const { keysOf } = await importBuilt<typeof import('../../../src/redis/keys.js')>('redis/keys.js');

const note = task('note', (_args: {}, { key }) => key);

describeOnRedis('after the pauses were deleted by hand,', (url) => {
  const stage = setStage(url);

  /** Has an execution with a record and one without wait in the line of their task, for pauses that are gone then. */
  async function loseThePauses() {
    const docket = stage.docket();
    const place = await placeOf(stage);
    await docket.pause(note);
    stage.work({ note });
    const waiting = await docket.add(note, {}, { key: 'waits' });
    await stage.docket({ executionTtl: 0 }).add(note);
    await untilInLine(place, 'note', 2);
    await place.redis.del(stage.key('paused'));
    return { docket, place, waiting };
  }

  test('workers notice it by themselves, so that executions start which are added now', async () => {
    const { docket } = await loseThePauses();
    expect(await (await docket.add(note, {}, { key: 'later' })).result({ timeout: '30s' })).toBe('later');
    await docket.clear();
  });

  test('what waited in a line is found there by a sweep, and runs', async () => {
    const { place, waiting } = await loseThePauses();
    const keys = keysOf(stage.name);
    await waitFor(async () => (await mendLost(place.redis, keys)).next === null);
    expect(await waiting.result({ timeout: '30s' })).toBe('waits');
    await untilNothingIsLeft(place);
  });

  test('what waits in a line runs after a resume, which finds nothing to end', async () => {
    const { docket, place, waiting } = await loseThePauses();
    expect(await docket.resume(note)).toBe(false);
    expect(await waiting.result({ timeout: '30s' })).toBe('waits');
    await untilNothingIsLeft(place);
    expect(await inLine(place, 'note')).toBe(0);
  });
});
