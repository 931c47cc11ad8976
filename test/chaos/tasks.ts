/** The tasks that the workers of the chaos suite run. */
import { concurrencyLimit, retry, type Task, task } from 'docket';
import { begun, type Crime, commit, lived, type WorkArguments, type WorkResult } from './bodies.js';
import { note } from './recorder.js';

/** How many executions of one lane may run at once. */
export const LANE_MAX = 2;

/** The lanes by which `limited` is limited. */
export const LANES = ['a', 'b', 'c'] as const;

/** How often `retried` is tried. */
export const ATTEMPTS = 4;

/** How long it waits before each further attempt. */
export const RETRY_DELAY_MS = 100;

type Work<Name extends string> = Task<Name, WorkArguments, WorkResult>;

export const work: Work<'work'> = task('work', (args: WorkArguments, ctx) => lived(args, ctx));

export const retried: Work<'retried'> = task(
  'retried',
  { retry: retry({ attempts: ATTEMPTS, delay: `${RETRY_DELAY_MS}ms` }) },
  (args: WorkArguments, ctx) => lived(args, ctx),
);

export const limited: Work<'limited'> = task(
  'limited',
  { limits: [concurrencyLimit('lane', { max: LANE_MAX })] },
  (args: WorkArguments, ctx) => lived(args, ctx),
);

/** Ends its thread the first time it runs. When it was delivered again, it completes, so it is never given up. */
export const hostile: Task<'hostile', WorkArguments & { readonly crime: Crime }, WorkResult> = task(
  'hostile',
  { timeout: '1s', retry: retry({ attempts: 2 }) },
  async (args: WorkArguments & { readonly crime: Crime }, ctx) => {
    const token = await begun(args, ctx);
    if (!ctx.redelivered && ctx.attempt === 1) await commit(args.crime);
    await note({ kind: 'end', token });
    return { token };
  },
);
