/**
 * Random sequences of calls, in any interleaving of producers, workers and sweepers, on a real server, against a model of the state
 * machine (`model.ts`). A failure prints the shortest sequence that was found, and how to run it again. The seed is always the same
 * here, so that a change is blamed for what it did; `npm run test:model` takes others.
 */
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { REDIS_BINARY } from '../support/redis-binary.js';
import { type RestartableRedis, startRestartableRedis } from '../support/servers.js';
import { stopServerTime } from './clock.js';
import { runSequence } from './explore.js';
import { sequence } from './operations.js';

/** Sequences that run at once, each in a database of its own. */
const AT_ONCE = 4;
const SEQUENCES = 200;

const { MODEL_MINUTES, MODEL_SEED, MODEL_PATH } = process.env;
const RUN_MS = Number(MODEL_MINUTES ?? 0) * 60_000;
const FIRST_SEED = Number(MODEL_SEED ?? 1);

let server: RestartableRedis;

beforeAll(async () => {
  if (REDIS_BINARY === null) return;
  stopServerTime();
  server = await startRestartableRedis(false);
});

afterAll(async () => {
  await server?.stop();
});

test.skipIf(REDIS_BINARY === null)(
  'no interleaving of calls makes a docket differ from the model of its states',
  { timeout: RUN_MS + 300_000 },
  async () => {
    const startedMs = performance.now();
    const atOnce = MODEL_PATH === undefined ? AT_ONCE : 1;
    const ran = await Promise.all(Array.from({ length: atOnce }, (_, db) => runSequences(db, atOnce)));
    const sequences = ran.reduce((sum, { count }) => sum + count, 0);
    if (RUN_MS > 0) {
      console.log(
        `${sequences} sequences in ${Math.round((performance.now() - startedMs) / 1_000)} s, seed ${FIRST_SEED}`,
      );
    }
    expect(ran.flatMap(({ failure }) => failure ?? []).join('\n\n')).toBe('');
    expect(sequences).toBeGreaterThan(0);
  },
);

let hasFailed = false;

/** Runs sequences one after the other. Returns how many, and the report of the one that failed, if one did. */
async function runSequences(
  db: number,
  atOnce: number,
): Promise<{ readonly count: number; readonly failure: string | null }> {
  const redis = new Redis({ path: server.socket, db });
  let count = 0;
  const property = fc.asyncProperty(sequence, async (one) => {
    if (hasFailed) return; // in another database
    count += 1;
    await runSequence(redis, db, one);
  });
  const bounds =
    RUN_MS > 0
      ? { numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: RUN_MS }
      : { numRuns: Math.ceil(SEQUENCES / atOnce) };
  const path = MODEL_PATH === undefined ? {} : { path: MODEL_PATH };
  try {
    const { failed, errorInstance, numShrinks, seed, counterexamplePath } = await fc.check(property, {
      seed: FIRST_SEED + db,
      ...bounds,
      ...path,
    });
    // A run that was interrupted because its time is over has not failed.
    if (!failed || counterexamplePath === null) return { count, failure: null };
    hasFailed = true;
    const again = `npm run test:model -- --seed ${seed} --path ${counterexamplePath}`;
    return {
      count,
      failure: `${errorInstance}\nThe shortest of ${numShrinks + 1} sequences that fail. Again: ${again}`,
    };
  } finally {
    redis.disconnect();
  }
}
