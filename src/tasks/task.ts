/**
 * Declares tasks: named functions with policies. The name travels; the code never leaves the process that loaded it.
 */

import type { Duration } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import type { Priority } from '../core/priority.js';
import type { PerpetualControl, RetryControl, TaskContext, TimeoutControl } from './context.js';
import type { AnyTask, Task } from './declared-task.js';
import { checkUses, type Dependencies, type DependencyArguments, type Injected } from './dependencies.js';
import {
  type LimitPolicy,
  type PerpetualPolicy,
  type RetryPolicy,
  resolvePolicies,
  type TaskPolicies,
} from './policies.js';
import { type AnySchema, checkSchema, type StandardSchema } from './schema.js';

export type { AnyTask, Task } from './declared-task.js';

/** Options of {@link task}. */
export interface TaskOptions<
  U extends Dependencies = {},
  N extends string = never,
  L extends string = never,
  P extends PerpetualPolicy | undefined = undefined,
  T extends RetryPolicy | undefined = undefined,
  D extends Duration | undefined = undefined,
> {
  /**
   * Whether and when a failed attempt is retried. With it, the body can also use `ctx.retry`.
   * @default one failed attempt fails the execution
   */
  readonly retry?: T;
  /**
   * Runs the task again and again under the same key. With it, the body can also use `ctx.perpetual`.
   * @default the task runs once
   */
  readonly perpetual?: P;
  /**
   * How long each phase of an attempt may take, more than 0. Creating the dependencies, the body and the clean-up each
   * have this time. When it is over, `ctx.signal` aborts, and the attempt fails with a TimeoutError even if the body
   * returns later. With it, the body can also use `ctx.timeout`.
   * @default no limit
   */
  readonly timeout?: D;
  /**
   * Limits that make executions wait or drop them, for the task as a whole or for each value of an argument.
   * @default none
   */
  readonly limits?: readonly LimitPolicy<N>[];
  /**
   * Which executions of the docket start first when there is more work than free threads. An `add` can override it. A producer
   * that knows only the name of the task does not know its priority, and adds with normal priority.
   * @default 'normal'
   */
  readonly priority?: Priority;
  /**
   * Arguments that log lines about attempts may show: their `'value'`, or only their `'length'` or size. All other
   * arguments are private.
   * @default none
   */
  readonly logged?: { readonly [K in L]: 'value' | 'length' };
  /**
   * Dependencies by their names on the context. A name must not be one that the context already has.
   * @default none
   */
  readonly uses?: U;
}

/** The option `input`, which also determines the type of the arguments. */
export interface InputOption<I, O> {
  /**
   * Any Standard Schema, such as one of zod, valibot or arktype. Callers pass its input, which is checked before it is
   * added. It is checked again before the body, which gets the output. Arguments that do not match fail the execution
   * without a retry.
   */
  readonly input: StandardSchema<I, O>;
}

/** The type of a task that names an argument which it does not have. It cannot be used as a task. */
export interface UnknownArgument<N> {
  readonly 'is not an argument of this task': N;
}

/** The fields that declared policies add to the body's context. */
export type Controls<
  P extends PerpetualPolicy | undefined,
  T extends RetryPolicy | undefined,
  D extends Duration | undefined,
> = (P extends PerpetualPolicy ? PerpetualControl : {}) &
  (T extends RetryPolicy ? RetryControl : {}) &
  (D extends Duration ? TimeoutControl : {});

/**
 * The type of a task; an error type when its options name an argument not in `A`, or its dependencies need more than
 * `B`.
 */
type Declared<Name extends string, A, B, R, U, Named> = [Named] extends [keyof A]
  ? B extends DependencyArguments<U>
    ? Task<Name, A, R>
    : UnknownArgument<'a dependency needs arguments this task does not have'>
  : UnknownArgument<Exclude<Named, keyof A>>;

/** The part of a task that a thread needs to run it. */
export interface TaskDefinition {
  readonly name: string;
  readonly policies: TaskPolicies;
  run(args: unknown, ctx: TaskContext): unknown;
  readonly input?: AnySchema;
  readonly uses?: Dependencies;
  readonly logged?: LoggedArguments;
}

/** How log lines show the arguments that they may show. */
export type LoggedArguments = Readonly<Record<string, 'value' | 'length'>>;

/**
 * Declares a task: a function that a worker runs for each execution added to a docket.
 *
 * @param name - name by which workers find the task, 1 to 512 bytes. Executions in Redis refer to it, so renaming a
 *   task leaves them without a task to run.
 * @param run - the body, sync or async. Its first parameter is one object with named fields, whose type must be
 *   annotated unless `input` determines it.
 * @throws InvalidOptionError when the name is empty, longer than 512 bytes or has control characters, when an option is
 *   not valid, or when `run` is not a function
 * @example
 * ```ts
 * export const hello = task('hello', async ({ name }: { name: string }) => `hello ${name}`);
 *
 * export const charge = task(
 *   'charge',
 *   { retry: exponentialRetry({ attempts: 5 }), timeout: '30s', uses: { payments } },
 *   async ({ orderId }: { orderId: number }, ctx) => {
 *     if (orderId < 0) ctx.retry.after('1m');
 *     return await ctx.payments.charge(orderId, { signal: ctx.signal });
 *   },
 * );
 * ```
 */
export function task<
  const Name extends string,
  I extends object,
  O,
  R = void,
  U extends Dependencies = {},
  N extends string = never,
  L extends string = never,
  P extends PerpetualPolicy | undefined = undefined,
  T extends RetryPolicy | undefined = undefined,
  D extends Duration | undefined = undefined,
>(
  name: Name,
  options: TaskOptions<U, N, L, P, T, D> & InputOption<I, O>,
  run: (args: O, ctx: TaskContext & Injected<U> & Controls<P, T, D>) => R | Promise<R>,
): Declared<Name, I, O, R, U, N | L>;
export function task<
  const Name extends string,
  A extends object = {},
  R = void,
  U extends Dependencies = {},
  N extends string = never,
  L extends string = never,
  P extends PerpetualPolicy | undefined = undefined,
  T extends RetryPolicy | undefined = undefined,
  D extends Duration | undefined = undefined,
>(
  name: Name,
  options: TaskOptions<U, N, L, P, T, D>,
  run: (args: A, ctx: TaskContext & Injected<U> & Controls<P, T, D>) => R | Promise<R>,
): Declared<Name, A, A, R, U, N | L>;
export function task<const Name extends string, A extends object = {}, R = void>(
  name: Name,
  run: (args: A, ctx: TaskContext) => R | Promise<R>,
): Task<Name, A, R>;
export function task(name: string, ...rest: [Body] | [AnyOptions, Body]): unknown {
  const [options, run] = rest.length === 1 ? [{}, rest[0]] : rest;
  checkTaskName(name);
  if (typeof run !== 'function') throw new InvalidOptionError('run', `task '${name}' needs a function to run`);
  checkOptionNames(options, TASK_OPTIONS, '');
  const definition: TaskDefinition = {
    name,
    policies: resolvePolicies(options),
    run: run as TaskDefinition['run'],
    ...threadOptions(options),
  };
  return Object.freeze({ name, [DEFINITION]: Object.freeze(definition) });
}

/** Returns a copy of a task in which these policies replace those that it does not declare. */
export function withDefaultPolicies(task: AnyTask, defaults: TaskPolicies): AnyTask {
  const definition = definitionOf(task);
  const policies = Object.freeze({ ...defaults, ...definition.policies });
  const defaulted = { name: task.name, [DEFINITION]: Object.freeze({ ...definition, policies }) };
  return Object.freeze(defaulted) as unknown as AnyTask;
}

/** Returns a copy of a task that uses these dependencies in place of its own. */
export function withUses(task: AnyTask, uses: Dependencies): AnyTask {
  const copy = {
    name: task.name,
    [DEFINITION]: Object.freeze({ ...definitionOf(task), uses: checkUses(uses, 'uses') }),
  };
  return Object.freeze(copy) as unknown as AnyTask;
}

/**
 * Returns the options that only the thread needs. Those that are not declared are absent, so that a check for them is
 * cheap.
 */
function threadOptions({ input, uses, logged }: AnyOptions): Pick<TaskDefinition, 'input' | 'uses' | 'logged'> {
  if (input !== undefined) checkSchema(input);
  return {
    ...(input !== undefined && { input }),
    ...(uses !== undefined && { uses: checkUses(uses, 'uses') }),
    ...(logged !== undefined && { logged: checkLogged(logged) }),
  };
}

function checkLogged(logged: LoggedArguments): LoggedArguments {
  if (typeof logged !== 'object' || logged === null) throw new InvalidOptionError('logged', 'expected a record');
  for (const [argument, how] of Object.entries(logged)) {
    if (how === 'value' || how === 'length') continue;
    throw new InvalidOptionError(`logged.${argument}`, `expected 'value' or 'length', got ${String(how)}`);
  }
  return Object.freeze({ ...logged });
}

/** Tells whether a value was made with {@link task}, of this copy of the package or another one. */
export function isTask(value: unknown): value is AnyTask {
  return typeof value === 'object' && value !== null && DEFINITION in value;
}

/** Returns the definition of a task. */
export function definitionOf(task: AnyTask): TaskDefinition {
  return (task as unknown as { [DEFINITION]: TaskDefinition })[DEFINITION];
}

/**
 * @throws InvalidOptionError when the name is empty, longer than 512 bytes, or has control characters or lone
 *   surrogates
 */
export function checkTaskName(name: unknown): asserts name is string {
  if (typeof name !== 'string' || name === '') {
    throw new InvalidOptionError('name', 'expected the name of a task, a string that is not empty');
  }
  const bytes = Buffer.byteLength(name);
  if (bytes > MAXIMUM_NAME_BYTES) {
    throw new InvalidOptionError('name', `expected a name of at most ${MAXIMUM_NAME_BYTES} bytes, got ${bytes}`);
  }
  if (UNSAFE.test(name)) {
    throw new InvalidOptionError(
      'name',
      `expected a name without control characters and lone surrogates, got ${JSON.stringify(name)}`,
    );
  }
}

type Body = (args: never, ctx: never) => unknown;

type AnyOptions = TaskOptions<
  Dependencies,
  string,
  string,
  PerpetualPolicy | undefined,
  RetryPolicy | undefined,
  Duration | undefined
> &
  Partial<InputOption<unknown, unknown>>;

const TASK_OPTIONS = optionNames<TaskOptions & InputOption<unknown, unknown>>({
  retry: true,
  perpetual: true,
  timeout: true,
  limits: true,
  priority: true,
  logged: true,
  uses: true,
  input: true,
});

/** In the global symbol registry, so that a task module with its own copy of docket works. */
const DEFINITION: unique symbol = Symbol.for('docket.task');

const MAXIMUM_NAME_BYTES = 512;
/** Control characters, and lone surrogates, which would not survive the way through Redis. */
const UNSAFE = /[\p{Cc}\p{Cs}]/u;
