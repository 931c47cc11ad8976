/** A task: a named function with policies. Its name is the wire format; its code never leaves the process that loaded it. */
import { InvalidOptionError } from '../core/errors.js';
import type { RetryControl, TaskContext } from './context.js';
import { type RetryPolicy, resolvePolicies, type TaskPolicies } from './policies.js';

declare const args: unique symbol;
declare const result: unique symbol;

/** A declared task. `A` is what callers give, `R` what the body returns; both exist for the compiler only. */
export interface Task<Name extends string, A, R> {
  readonly name: Name;
  readonly [args]: (a: A) => void;
  readonly [result]: R;
}

/** Any task, whatever its arguments and result. */
export type AnyTask = Task<string, never, unknown>;

export interface TaskOptions<T extends RetryPolicy | undefined> {
  /**
   * What happens after a failed attempt. With it, the body may also use `ctx.retry`.
   * @default no retry: one failed attempt fails the execution
   */
  readonly retry?: T;
}

/** What the declared policies add to the body's context. */
export type Controls<T extends RetryPolicy | undefined> = T extends RetryPolicy ? RetryControl : {};

/** What a thread needs to run a task. */
export interface TaskDefinition {
  readonly name: string;
  readonly policies: TaskPolicies;
  run(args: unknown, ctx: TaskContext): unknown;
}

/**
 * Declares a task: a function that workers run when somebody adds it to a docket.
 *
 * @param name - how workers find the task: explicit, stable, up to 512 bytes. Executions waiting in Redis hold it, so
 *   renaming a task strands them.
 * @param run - the body, sync or async. Its first parameter is one object with named fields and must be annotated.
 * @throws InvalidOptionError when the name is empty, longer than 512 bytes or has control characters, when a policy was
 *   not made by its function, or when `run` is not a function
 * @example
 * ```ts
 * export const hello = task('hello', async ({ name }: { name: string }) => `hello ${name}`);
 *
 * export const charge = task(
 *   'charge',
 *   { retry: exponentialRetry({ attempts: 5 }) },
 *   async ({ orderId }: { orderId: number }, ctx) => {
 *     if (orderId < 0) ctx.retry.after('1m');
 *     return { charged: orderId };
 *   },
 * );
 * ```
 */
export function task<
  const Name extends string,
  A extends object = {},
  R = void,
  T extends RetryPolicy | undefined = undefined,
>(
  name: Name,
  options: TaskOptions<T>,
  run: (args: A, ctx: TaskContext & Controls<T>) => R | Promise<R>,
): Task<Name, A, R>;
export function task<const Name extends string, A extends object = {}, R = void>(
  name: Name,
  run: (args: A, ctx: TaskContext) => R | Promise<R>,
): Task<Name, A, R>;
export function task(name: string, ...rest: [Body] | [TaskOptions<RetryPolicy | undefined>, Body]): AnyTask {
  const [options, run] = rest.length === 1 ? [{}, rest[0]] : rest;
  checkTaskName(name);
  if (typeof run !== 'function') throw new InvalidOptionError('run', `task '${name}' needs a function to run`);
  const policies = resolvePolicies(options);
  const definition: TaskDefinition = Object.freeze({ name, policies, run: run as TaskDefinition['run'] });
  return Object.freeze({ name, [DEFINITION]: definition }) as unknown as AnyTask;
}

/** Tells whether a value was made with {@link task}, by this copy of the package or another one. */
export function isTask(value: unknown): value is AnyTask {
  return typeof value === 'object' && value !== null && DEFINITION in value;
}

/** Gives what a thread needs to run the task. */
export function definitionOf(task: AnyTask): TaskDefinition {
  return (task as unknown as { [DEFINITION]: TaskDefinition })[DEFINITION];
}

/** @throws InvalidOptionError when it is empty, longer than 512 bytes, or has control characters or lone surrogates */
export function checkTaskName(name: unknown): asserts name is string {
  if (typeof name !== 'string' || name === '') {
    throw new InvalidOptionError('name', 'a task needs a name, a string that is not empty');
  }
  const bytes = Buffer.byteLength(name);
  if (bytes > MAXIMUM_NAME_BYTES) {
    throw new InvalidOptionError('name', `a task's name has at most ${MAXIMUM_NAME_BYTES} bytes, got ${bytes}`);
  }
  if (UNSAFE.test(name)) {
    throw new InvalidOptionError('name', `a task's name has no control characters, got ${JSON.stringify(name)}`);
  }
}

type Body = (args: never, ctx: never) => unknown;

/** In the global registry, so that a task module with its own copy of docket in `node_modules` still works. */
const DEFINITION: unique symbol = Symbol.for('docket.task');

const MAXIMUM_NAME_BYTES = 512;
/** Control characters, and lone surrogates, which would not survive the way through Redis. */
const UNSAFE = /[\p{Cc}\p{Cs}]/u;
