/** The tasks of a later version of the workers: all that there were, and one more. */
import { type Task, task } from 'docket';
import { lived, type WorkArguments, type WorkResult } from './bodies.js';

export * from './tasks.js';

export const novel: Task<'novel', WorkArguments, WorkResult> = task('novel', (args: WorkArguments, ctx) =>
  lived(args, ctx),
);
