/** The tasks of docket's workers in the bench; their threads load this file. */
import { collection, concurrencyLimit, rateLimit, task } from 'docket';
import hashRoundsOf, { type Rounds } from './hash-rounds.js';
import type { Payload } from './payload.js';
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

export const hashRounds = task('hash-rounds', (args: Rounds) => {
  hashRoundsOf(args);
});

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
  hashRounds,
  spin,
  short,
  long,
  mixed,
);

/** The tasks that producers add, by their names in `ProducerSettings`. */
export const produced = { noop, tally, limitedTask, limitedValue, limitedValues, limitedRate, limitedStack };
