/** The tasks of docket's workers in the bench; their threads load this file. */
import { setTimeout as sleep } from 'node:timers/promises';
import { collection, concurrencyLimit, rateLimit, task } from 'docket';
import hashRoundsOf from './hash-rounds.js';
import { recordLateness } from './lateness.js';
import type { Payload } from './payload.js';
import { noteStart } from './start-times.js';
import { countStart } from './starts.js';
import { tally as tallyOf } from './tally.js';
import { reportWait, type TimedWork } from './waits.js';

export const noop = task('noop', (_args: Payload) => {});

/** More than ever run at once, so these limits never make a task wait. */
const max = 1_000_000;

export const limitedTask = task('limited-task', { limits: [concurrencyLimit({ max })] }, (_args: Payload) => {});

export const limitedValue = task(
  'limited-value',
  { limits: [concurrencyLimit('to', { max })] },
  (_args: Payload) => {},
);

export const limitedValues = task(
  'limited-values',
  { limits: [concurrencyLimit('index', { max })] },
  (_args: Payload) => {},
);

export const limitedRate = task('limited-rate', { limits: [rateLimit({ max, per: '1s' })] }, (_args: Payload) => {});

export const limitedStack = task(
  'limited-stack',
  { limits: [concurrencyLimit({ max }), concurrencyLimit('to', { max }), concurrencyLimit('index', { max })] },
  (_args: Payload) => {},
);

export const tally = task('tally', (args: Payload) => tallyOf(args));

/** Notes when it started, and returns its index. */
export const noted = task('noted', ({ index }: Payload) => {
  noteStart(index);
  return index;
});

/** A little work that needs only CPU: as many rounds as the environment says, which threads inherit. */
export const burn = task('burn', (_args: Payload) => {
  hashRoundsOf({ rounds: Number(process.env.BENCH_HASH_ROUNDS) });
});

/** These wait as tasks do that call another service, each for the milliseconds in its name. */
export const sleep1 = task('sleep1', async (_args: Payload) => {
  await sleep(1);
});

export const sleep10 = task('sleep10', async (_args: Payload) => {
  await sleep(10);
});

export const sleep100 = task('sleep100', async (_args: Payload) => {
  await sleep(100);
});

export const punctual = task('punctual', (_args: {}, { when }) => recordLateness(when.getTime()));

/** Blocks its thread without ever yielding, as a long synchronous computation does. */
export const spin = task('spin', async ({ ms }: { readonly ms: number }, { key }) => {
  await countStart(key);
  const end = Date.now() + ms;
  while (Date.now() < end);
});

export const short = task('short', (args: TimedWork) => reportWait(args));
export const long = task('long', (args: TimedWork) => reportWait(args));
export const mixed = task('mixed', (args: TimedWork) => reportWait(args));

export const tasks = collection(
  noop,
  limitedTask,
  limitedValue,
  limitedValues,
  limitedRate,
  limitedStack,
  tally,
  noted,
  burn,
  sleep1,
  sleep10,
  sleep100,
  punctual,
  spin,
  short,
  long,
  mixed,
);

/** The tasks that producers add, by their names in `ProducerSettings`. */
export const produced = {
  noop,
  tally,
  burn,
  sleep1,
  sleep10,
  sleep100,
  limitedTask,
  limitedValue,
  limitedValues,
  limitedRate,
  limitedStack,
};
