/** An idle worker has its executions claimed in the round trip that reads them. */
import { task } from 'docket';
import { expect, test } from 'vitest';
import { importBuilt } from '../support/built.js';
import { setStage } from '../support/stage.js';
import { describeOnRedis } from '../support/suites.js';

const { SCRIPTS } =
  await importBuilt<typeof import('../../src/redis/scripts.generated.js')>('redis/scripts.generated.js');
const note = task('note', (_args: { n?: number }) => {});

describeOnRedis('an idle worker', (url) => {
  const stage = setStage(url);

  test('claims executions as it reads them, once it has met their task', async () => {
    const redis = await stage.redis();
    const docket = stage.docket();
    stage.work({ note }, { minimumCheckInterval: '5s' });
    for (let i = 0; i < 3; i++) await (await docket.add(note)).result();
    await redis.script('FLUSH');
    for (let i = 0; i < 3; i++) {
      const execution = await docket.add(note);
      await execution.result();
      expect(execution.worker).not.toBeNull();
    }
    expect(await redis.script('EXISTS', SCRIPTS['claim-read'].sha, SCRIPTS.claim.sha)).toEqual([1, 0]);
  });
});
