/** The configuration that a task module gives, beside its tasks, to the workers that load it. */

import type { Duration } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import type { ErrorClass } from '../wire/codec.js';
import type { ThreadContext } from './context.js';
import { checkUses, type Dependency } from './dependencies.js';
import { type LimitPolicy, type RetryPolicy, resolveDefaultPolicies, type TaskPolicies } from './policies.js';
import { type AnyTask, isTask } from './task.js';

declare const configuration: unique symbol;

/** A configuration made with {@link configure}, for the export `worker` of a task module. */
export interface WorkerConfiguration {
  readonly [configuration]: true;
}

/** Options of {@link configure}. */
export interface ConfigureOptions {
  /**
   * Dependencies of every attempt on the worker, whatever module its task is from. They are created before the task's
   * own dependencies and cleaned up after them. They are not on the context.
   * @default none
   */
  readonly uses?: Readonly<Record<string, Dependency<unknown, {}>>>;
  /**
   * The task that runs in place of tasks that the worker does not know. It gets their arguments, and
   * `ctx.execution.task` is the name of the unknown task.
   * @default none: executions of unknown tasks are left to other workers
   */
  readonly fallback?: AnyTask;
  /**
   * Classes of errors that a failed `result()` of `ctx.docket` revives, beside the built-in ones.
   * @default none
   */
  readonly errors?: readonly ErrorClass[];
  /**
   * How attempts are retried of tasks that declare no `retry`. A task that must not be retried declares `retry({ attempts: 1
   * })`.
   * @default one failed attempt fails the execution
   */
  readonly retry?: RetryPolicy;
  /**
   * How long each phase of an attempt may take, more than 0, for tasks that declare no `timeout`.
   * @default no limit
   */
  readonly timeout?: Duration;
  /**
   * Limits of each task that declares no `limits`; `[]` is a declaration, too. They count each task by itself or, with a
   * `scope`, all tasks together. They cannot count by an argument, and none can be a debounce.
   * @default none
   */
  readonly limits?: readonly LimitPolicy<never>[];
  /**
   * Called for each execution that failed for good on a worker with this module, after the failure has been written. Use it for
   * alerts and compensation. It runs in a thread of that worker, and may take as long as the task's timeout, or 30 s if the task
   * has none. Then `ctx.signal` aborts, and the worker stops waiting for it. Errors that it throws are logged. It is called at most
   * once: the call is lost if the worker or thread dies first. If no failure may be missed, read `docket.failures()`.
   * @default none
   */
  readonly onFailed?: OnFailed;
}

/** An execution that has failed for good. */
export interface FailedExecution {
  readonly task: string;
  /** Key of the execution, or its id. */
  readonly key: string;
  /** Its arguments; `undefined` when they cannot be decoded. */
  readonly args: unknown;
  /** The error that `result()` rejects with. Classes among the `errors` of the configuration are revived. */
  readonly error: unknown;
  /** Number of the last attempt. */
  readonly attempt: number;
}

/** The context of {@link ConfigureOptions.onFailed}. */
export interface FailedContext extends ThreadContext {
  /** Aborts when its time is over. */
  readonly signal: AbortSignal;
}

/** Handles an execution that failed for good. */
export type OnFailed = (failed: FailedExecution, ctx: FailedContext) => unknown;

/** The part of a configuration that a thread uses. */
export interface ConfigurationDefinition {
  readonly uses: Readonly<Record<string, Dependency<unknown, never>>>;
  readonly fallback: AnyTask | null;
  readonly errors: readonly ErrorClass[];
  /** Absent when an older copy of docket made the configuration. */
  readonly policies?: TaskPolicies;
  /** Absent when there is none. */
  readonly onFailed?: OnFailed;
}

/**
 * Configures the worker that loads a module. Export the result as `worker` from the module with the tasks: code can
 * reach the threads of a worker in no other way. Its policies are for all tasks of the worker, whatever module they are
 * from, and for the fallback, but not for the built-in tasks. Each is replaced by what a task declares itself.
 * @throws InvalidOptionError naming the option that is not valid
 * @example
 * ```ts
 * export const tasks = collection(charge, refund);
 * export const worker = configure({ uses: { tracing }, errors: [PaymentDeclined], timeout: '5m' });
 * ```
 */
export function configure(options: ConfigureOptions): WorkerConfiguration {
  checkOptionNames(options, CONFIGURE_OPTIONS, 'configure.');
  const { uses = {}, fallback = null, errors = [], onFailed } = options;
  if (fallback !== null && !isTask(fallback)) {
    throw new InvalidOptionError('configure.fallback', 'expected a task made with task()');
  }
  if (!Array.isArray(errors) || errors.some((errorClass) => !isErrorClass(errorClass))) {
    throw new InvalidOptionError('configure.errors', 'expected an array of error classes');
  }
  if (onFailed !== undefined && typeof onFailed !== 'function') {
    throw new InvalidOptionError('configure.onFailed', 'expected a function');
  }
  const definition: ConfigurationDefinition = {
    uses: checkUses(uses, 'configure.uses'),
    fallback,
    errors: [...errors],
    policies: resolveDefaultPolicies(options, 'configure.'),
    ...(onFailed && { onFailed }),
  };
  return Object.freeze({ [DEFINITION]: Object.freeze(definition) }) as unknown as WorkerConfiguration;
}

/** Returns the definition of a configuration; `null` for any other value. */
export function configurationOf(value: unknown): ConfigurationDefinition | null {
  if (typeof value !== 'object' || value === null) return null;
  return (value as { [DEFINITION]?: ConfigurationDefinition })[DEFINITION] ?? null;
}

const CONFIGURE_OPTIONS = optionNames<ConfigureOptions>({
  uses: true,
  fallback: true,
  errors: true,
  retry: true,
  timeout: true,
  limits: true,
  onFailed: true,
});

function isErrorClass(value: unknown): boolean {
  return typeof value === 'function' && (value.prototype as unknown) instanceof Error;
}

/** In the global symbol registry, so that a task module with its own copy of docket works. */
const DEFINITION: unique symbol = Symbol.for('docket.configuration');
