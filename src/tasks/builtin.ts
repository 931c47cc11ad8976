/**
 * Tasks that every worker has, to try out and diagnose an installation. A user's task of the same name replaces one.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { InvalidOptionError } from '../core/errors.js';
import { collection } from './collection.js';
import { retry } from './policies.js';
import { type AnyTask, task } from './task.js';

/** Logs the message with the key of the execution, its age in milliseconds and the name of the worker. */
export const trace = task('trace', ({ message }: { message: string }, ctx) => {
  const ageMs = Date.now() - ctx.when.getTime();
  ctx.logger.info({ key: ctx.key, ageMs, worker: ctx.worker.name }, message);
});

/** Throws an error with the message, in two attempts. */
export const fail = task('fail', { retry: retry({ attempts: 2 }) }, ({ message }: { message: string }) => {
  throw new Error(message);
});

/** Waits for up to 24 days. Ends early when the attempt must stop. */
export const sleep = task('sleep', async ({ seconds }: { seconds: number }, ctx) => {
  if (!(seconds >= 0 && seconds <= MAXIMUM_SECONDS)) {
    throw new InvalidOptionError('seconds', `expected a number from 0 to ${MAXIMUM_SECONDS}, got ${String(seconds)}`);
  }
  // The timer rejects with a plain AbortError, but the reason of the signal says why the attempt must stop.
  await delay(seconds * 1_000, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
});

/** The built-in tasks. */
export const builtins = collection(trace, fail, sleep);

/** Adds the built-in tasks whose names are not taken. */
export function withBuiltins(tasks: ReadonlyMap<string, AnyTask>): Map<string, AnyTask> {
  return new Map<string, AnyTask>([...Object.entries(builtins), ...tasks]);
}

/** Whether this is a built-in task itself, and not a user's task of the same name. */
export function isBuiltin(task: AnyTask): boolean {
  return Object.values<AnyTask>(builtins).includes(task);
}

/** The longest delay of a timer in Node is 2^31-1 ms; a longer one fires at once. */
const MAXIMUM_SECONDS = 2_147_483;
