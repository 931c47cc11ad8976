/**
 * Random sequences of calls, in any interleaving of producers, workers and sweepers, on a real server, against a model of the state
 * machine. A failure prints its seed and path, and the shortest sequence that was found; `npm run test:model -- --seed S --path P`
 * runs that again.
 */
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { REDIS_BINARY } from '../support/redis-binary.js';
import { startRestartableRedis, type RestartableRedis } from '../support/servers.js';
import { stopServerTime } from './clock.js';
import { runSequence } from './explore.js';
import { operation } from './operations.js';

/** Sequences that run at once, each in a database of its own. */
const LANES = 4;
const SEQUENCES = Number(process.env['MODEL_SEQUENCES'] ?? 400);
const MINUTES = Number(process.env['MODEL_MINUTES'] ?? 0);
const SEED = process.env['MODEL_SEED'];
const PATH = process.env['MODEL_PATH'];

let server: RestartableRedis;

beforeAll(async () => {
  if (REDIS_BINARY === null) return;
  stopServerTime();
  server = await startRestartableRedis(false);
});

afterAll(async () => {
  await server?.stop();
});

test.skipIf(REDIS_BINARY === null)('no interleaving of calls makes a docket differ from the model', { timeout: MINUTES * 60_000 + 300_000 }, async () => {
  const first = SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(SEED);
  const lanes = PATH === undefined ? LANES : 1;
  let ran = 0;
  const failures: string[] = [];
  const run = async (lane: number) => {
    const redis = new Redis({ path: server.socket, db: lane });
    const property = fc.asyncProperty(fc.array(operation, { maxLength: 60, size: 'max' }), async (operations) => {
      if (failures.length > 0) return; // of another lane: there is nothing to shrink here
      ran += 1;
      await runSequence(redis, lane, operations);
    });
    const limit =
      MINUTES > 0
        ? { numRuns: 1e9, interruptAfterTimeLimit: MINUTES * 60_000, markInterruptAsFailure: false }
        : { numRuns: Math.ceil(SEQUENCES / lanes) };
    const details = await fc.check(property, { seed: first + lane, ...limit, ...(PATH !== undefined && { path: PATH }) });
    redis.disconnect();
    if (!details.failed) return;
    const replay = `npm run test:model -- --seed ${details.seed} --path ${details.counterexamplePath}`;
    failures.push(`${details.errorInstance}\nThis is the shortest of ${details.numShrinks + 1} sequences that fail. Again: ${replay}`);
  };
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: lanes }, (_, lane) => run(lane)));
  if (MINUTES > 0) console.log(`${ran} sequences in ${Math.round((performance.now() - startedMs) / 1000)} s, seed ${first}`);
  expect(ran).toBeGreaterThan(0);
  expect(failures.join('\n\n')).toBe('');
});
