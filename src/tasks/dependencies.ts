/** Dependencies: what a task needs beside its arguments, made by factories in the thread that runs it. */
import { InvalidOptionError } from '../core/errors.js';
import type { TaskContext, ThreadContext } from './context.js';
import { CONTEXT_NAMES } from './context.js';

declare const provides: unique symbol;

/** A declared dependency: provides a `T` to tasks whose arguments have what `A` names. */
export interface Dependency<T, A = unknown> {
  readonly [provides]: (args: A) => T;
}

/** Dependencies by the name under which they appear on the context. */
export type Dependencies = Readonly<Record<string, Dependency<unknown, never>>>;

/** What a factory gives: what its generator yields, what its promise resolves to, or what it returns. */
export type Provided<F> = F extends AsyncGenerator<infer T> | Generator<infer T> ? T : Awaited<F>;

/** What `uses` adds to the context. */
export type Injected<U> = { readonly [K in keyof U]: U[K] extends Dependency<infer T, never> ? T : never };

/** The arguments a task must have for its dependencies. */
export type DependencyArguments<U> = {
  [K in keyof U]: U[K] extends Dependency<unknown, infer A> ? (args: A) => void : never;
}[keyof U] extends (args: infer A) => void
  ? A
  : {};

/** What a thread needs to make a dependency. */
export type DependencyDefinition =
  | {
      readonly kind: 'depends';
      readonly factory: (args: unknown, ctx: object) => unknown;
      readonly uses: Dependencies;
    }
  | { readonly kind: 'shared'; readonly factory: (ctx: ThreadContext) => unknown };

/**
 * Declares a dependency that is made anew for each execution.
 *
 * The factory gets the task's arguments and the context, with its own `uses` on it. It may return the value or a
 * promise of it, or be a generator that yields it once: what follows the `yield` is the clean-up. A generator is resumed
 * the same way however the body ended. A returned value with `Symbol.asyncDispose` or `Symbol.dispose` is disposed, unless it is
 * itself one of the factory's dependencies.
 *
 * Each factory runs once per execution, however many dependencies use it; one after the other, in the order of `uses`.
 * Clean-ups run in the reverse order, before the outcome is written, also after errors, cancels and timeouts: one that
 * throws after a successful body fails the attempt. When factories throw, the body does not run and the attempt fails
 * with an AggregateError that names them all.
 * @throws InvalidOptionError when the factory is not a function, or a name in `uses` is taken
 * @example
 * ```ts
 * const transaction = depends(
 *   async function* (_args: {}, { pool }) {
 *     const client = await pool.connect();
 *     try {
 *       yield client;
 *     } finally {
 *       client.release();
 *     }
 *   },
 *   { uses: { pool } },
 * );
 * ```
 */
// NoInfer: an inline depends() would else take its arguments from the `never` that `uses` accepts.
export function depends<F, A extends object = {}>(
  factory: (args: A, ctx: TaskContext) => F,
): Dependency<Provided<F>, NoInfer<A>>;
export function depends<F, U extends Dependencies, A extends object = {}>(
  factory: (args: A, ctx: TaskContext & Injected<U>) => F,
  options: { readonly uses: U },
): Dependency<Provided<F>, NoInfer<A> & DependencyArguments<U>>;
export function depends(factory: unknown, options: { readonly uses?: Dependencies } = {}): Dependency<unknown, never> {
  checkFactory('depends', factory);
  return declare({ kind: 'depends', factory, uses: checkUses(options.uses ?? {}, 'depends.uses') });
}

/**
 * Declares a dependency that all executions on a worker thread share, such as a connection pool: made on first use,
 * disposed when the thread ends in an orderly way. Its factory is like that of {@link depends}, but gets the thread's
 * context. When it throws, the executions that waited for it fail, and the next one tries again.
 * @throws InvalidOptionError when the factory is not a function
 * @example
 * ```ts
 * const pool = shared(async function* ({ worker }) {
 *   const pool = new Pool({ application_name: worker.name });
 *   yield pool;
 *   await pool.end();
 * });
 * ```
 */
export function shared<F>(factory: (ctx: ThreadContext) => F): Dependency<Provided<F>> {
  checkFactory('shared', factory);
  return declare({ kind: 'shared', factory }) as Dependency<Provided<F>>;
}

/** Gives what a thread needs to make the dependency. */
export function dependencyOf(dependency: Dependency<unknown, never>): DependencyDefinition {
  return (dependency as unknown as { [DEFINITION]: DependencyDefinition })[DEFINITION];
}

/**
 * Copies declared dependencies, so that nobody changes them afterwards.
 * @throws InvalidOptionError when a name is taken by the context, or a value is not a dependency
 */
export function checkUses(uses: unknown, option: string): Dependencies {
  if (typeof uses !== 'object' || uses === null) throw new InvalidOptionError(option, 'expected a record');
  for (const [name, dependency] of Object.entries(uses)) {
    if (CONTEXT_NAMES.has(name) || name in Object.prototype) {
      throw new InvalidOptionError(`${option}.${name}`, 'the context has a field of this name: choose another');
    }
    if (typeof dependency !== 'object' || dependency === null || !(DEFINITION in dependency)) {
      throw new InvalidOptionError(`${option}.${name}`, 'expected a dependency made with depends() or shared()');
    }
  }
  return Object.freeze({ ...uses }) as Dependencies;
}

function declare(definition: DependencyDefinition): Dependency<unknown, never> {
  return Object.freeze({ [DEFINITION]: Object.freeze(definition) }) as unknown as Dependency<unknown, never>;
}

function checkFactory(option: string, factory: unknown): asserts factory is () => unknown {
  if (typeof factory !== 'function') throw new InvalidOptionError(option, 'expected a function that makes the value');
}

/** In the global registry, like that of tasks: modules may bring their own copy of docket. */
const DEFINITION: unique symbol = Symbol.for('docket.dependency');
