/** What a task module says to the workers that load it, beside its tasks. */

import { InvalidOptionError } from '../core/errors.js';
import type { ErrorClass } from '../wire/codec.js';
import { checkUses, type Dependency } from './dependencies.js';
import { type AnyTask, isTask } from './task.js';

declare const configuration: unique symbol;

/** What {@link configure} makes: for the export `worker` of a task module. */
export interface WorkerConfiguration {
  readonly [configuration]: true;
}

export interface ConfigureOptions {
  /**
   * Dependencies around every execution of the worker, whatever module its task is from: resolved before the task's
   * own, cleaned up after them. They are not put on the context.
   * @default none
   */
  readonly uses?: Readonly<Record<string, Dependency<unknown, {}>>>;
  /**
   * The task that runs in place of those the worker does not know. It gets their arguments; `ctx.execution.task` is the
   * name that was asked for.
   * @default none: what nobody here knows is left to other workers
   */
  readonly fallback?: AnyTask;
  /**
   * Error classes that results read through `ctx.docket` revive, beside the built-in ones.
   * @default none
   */
  readonly errors?: readonly ErrorClass[];
}

/** What a thread needs of a configuration. */
export interface ConfigurationDefinition {
  readonly uses: Readonly<Record<string, Dependency<unknown, never>>>;
  readonly fallback: AnyTask | null;
  readonly errors: readonly ErrorClass[];
}

/**
 * Configures the worker that loads a module. Export it as `worker` from the module that has the tasks: code reaches the
 * threads of a worker in no other way.
 * @throws InvalidOptionError naming the option that cannot be used
 * @example
 * ```ts
 * export const tasks = collection(charge, refund);
 * export const worker = configure({ uses: { tracing }, errors: [PaymentDeclined] });
 * ```
 */
export function configure(options: ConfigureOptions): WorkerConfiguration {
  const { uses = {}, fallback = null, errors = [] } = options;
  if (fallback !== null && !isTask(fallback)) {
    throw new InvalidOptionError('configure.fallback', 'expected a task made with task()');
  }
  if (!Array.isArray(errors) || errors.some((errorClass) => !isErrorClass(errorClass))) {
    throw new InvalidOptionError('configure.errors', 'expected an array of error classes');
  }
  const definition: ConfigurationDefinition = {
    uses: checkUses(uses, 'configure.uses'),
    fallback,
    errors: [...errors],
  };
  return Object.freeze({ [DEFINITION]: Object.freeze(definition) }) as unknown as WorkerConfiguration;
}

/** Gives what a thread needs of a configuration; `null` for anything else. */
export function configurationOf(value: unknown): ConfigurationDefinition | null {
  if (typeof value !== 'object' || value === null) return null;
  return (value as { [DEFINITION]?: ConfigurationDefinition })[DEFINITION] ?? null;
}

function isErrorClass(value: unknown): boolean {
  return typeof value === 'function' && (value.prototype as unknown) instanceof Error;
}

/** In the global registry, like that of tasks: modules may bring their own copy of docket. */
const DEFINITION: unique symbol = Symbol.for('docket.configuration');
