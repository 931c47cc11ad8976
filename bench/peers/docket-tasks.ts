/** What docket's workers run in the bench; loaded by their threads. */
import { collection, task } from 'docket';
import hashRoundsOf, { type Rounds } from './hash-rounds.js';
import type { Payload } from './payload.js';
import { countStart } from './starts.js';
import { tally as tallyOf } from './tally.js';

export const noop = task('noop', (_args: Payload) => {});

export const tally = task('tally', (args: Payload) => tallyOf(args));

export const hashRounds = task('hash-rounds', (args: Rounds) => {
  hashRoundsOf(args);
});

/** Holds its thread without ever yielding, as a long synchronous computation does. */
export const spin = task('spin', async ({ ms }: { readonly ms: number }, { key }) => {
  await countStart(key);
  const end = Date.now() + ms;
  while (Date.now() < end);
});

export const tasks = collection(noop, tally, hashRounds, spin);
