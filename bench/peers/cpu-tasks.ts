/**
 * The tasks of the scenario `cpu`, in a module of their own. The size of a thread's heap decides how often its garbage
 * collector runs, and `docket-tasks.ts` loads a Redis client and more, which plain piscina has not loaded either.
 */
import { collection, task } from 'docket';
import arithmeticOf from './arithmetic.js';
import hashRoundsOf, { type Rounds } from './hash-rounds.js';

export const arithmetic = task('arithmetic', (args: Rounds) => {
  arithmeticOf(args);
});

export const hashRounds = task('hash-rounds', (args: Rounds) => {
  hashRoundsOf(args);
});

export const tasks = collection(arithmetic, hashRounds);
