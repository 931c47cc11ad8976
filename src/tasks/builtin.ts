/** Tasks every worker has, to try out and to diagnose an installation. A user's task of the same name takes its place. */
import { setTimeout as delay } from 'node:timers/promises';
import { InvalidOptionError } from '../core/errors.js';
import { collection } from './collection.js';
import { retry } from './policies.js';
import { type AnyTask, task } from './task.js';

/** Logs the message with the execution's key, its age in milliseconds and its worker. */
export const trace = task('trace', ({ message }: { message: string }, ctx) => {
  const ageMs = Date.now() - ctx.when.getTime();
  ctx.logger.info({ key: ctx.key, ageMs, worker: ctx.worker.name }, message);
});

/** Fails with the message, twice. */
export const fail = task('fail', { retry: retry({ attempts: 2 }) }, ({ message }: { message: string }) => {
  throw new Error(message);
});

/** Waits, up to 24 days; ends early when the attempt must end. */
export const sleep = task('sleep', async ({ seconds }: { seconds: number }, ctx) => {
  if (!(seconds >= 0 && seconds <= MAXIMUM_SECONDS)) {
    throw new InvalidOptionError('seconds', `expected a number from 0 to ${MAXIMUM_SECONDS}, got ${String(seconds)}`);
  }
  // The timer rejects with a bare AbortError; the reason of the signal says why the attempt ends.
  await delay(seconds * 1_000, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
});

export const builtins = collection(trace, fail, sleep);

/** Adds the built-in tasks whose names are free. */
export function withBuiltins(tasks: ReadonlyMap<string, AnyTask>): Map<string, AnyTask> {
  return new Map<string, AnyTask>([...Object.entries(builtins), ...tasks]);
}

/** Node's timers hold 2^31-1 ms; a longer one would fire at once. */
const MAXIMUM_SECONDS = 2_147_483;
