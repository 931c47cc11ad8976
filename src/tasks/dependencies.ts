/** Dependencies: values that a task needs beside its arguments, made by factories in the thread that runs it. */
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import type { TaskContext, ThreadContext } from './context.js';
import { CONTEXT_NAMES } from './context.js';

declare const provides: unique symbol;
declare const outlives: unique symbol;

/** A declared dependency. It provides a `T` to tasks whose arguments include those of `A`. */
export interface Dependency<T, A = unknown> {
  readonly [provides]: (args: A) => T;
}

/** A declared dependency that all executions on a worker thread share. */
export interface SharedDependency<T> extends Dependency<T> {
  readonly [outlives]: true;
}

/** Shared dependencies by their names on the context. */
export type SharedDependencies = Readonly<Record<string, SharedDependency<unknown>>>;

/** Dependencies by their names on the context. */
export type Dependencies = Readonly<Record<string, Dependency<unknown, never>>>;

/** The value of a factory: the one its generator yields, its promise resolves to, or it returns. */
export type Provided<F> = F extends AsyncGenerator<infer T> | Generator<infer T> ? T : Awaited<F>;

/** The fields that `uses` adds to the context. */
export type Injected<U> = { readonly [K in keyof U]: U[K] extends Dependency<infer T, never> ? T : never };

/** The arguments that a task must have for its dependencies. */
export type DependencyArguments<U> = {
  [K in keyof U]: U[K] extends Dependency<unknown, infer A> ? (args: A) => void : never;
}[keyof U] extends (args: infer A) => void
  ? A
  : {};

/** The part of a dependency that a thread uses. */
export type DependencyDefinition =
  | {
      readonly kind: 'depends';
      readonly factory: (args: unknown, ctx: object) => unknown;
      readonly uses: Dependencies;
    }
  | {
      readonly kind: 'shared';
      readonly factory: (ctx: ThreadContext) => unknown;
      /** Absent when an older copy of docket made the declaration. */
      readonly uses?: Dependencies;
    };

/**
 * Declares a dependency that is created for each attempt.
 *
 * The factory gets the arguments of the task and the context with its own `uses`. It returns the value or a promise of
 * it, or it is a generator that yields the value once; the code after the `yield` is the clean-up. A generator is
 * resumed the same way however the body ended. A returned value with `Symbol.asyncDispose` or `Symbol.dispose` is
 * disposed, unless it is itself one of the factory's dependencies.
 *
 * Factories run one after the other in the order of `uses`, and each runs once per attempt, however many dependencies
 * use it. Clean-ups run in reverse order before the outcome is written, also after errors, cancels and timeouts. A
 * clean-up that throws after a successful body fails the attempt. When factories throw, the body does not run, and the
 * attempt fails with an AggregateError that names them all.
 * @throws InvalidOptionError when the factory is not a function, or a name in `uses` is a name of the context
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
// NoInfer, because an inline depends() would otherwise infer its arguments from the `never` that `uses` accepts.
export function depends<F, A extends object = {}>(
  factory: (args: A, ctx: TaskContext) => F,
): Dependency<Provided<F>, NoInfer<A>>;
export function depends<F, U extends Dependencies, A extends object = {}>(
  factory: (args: A, ctx: TaskContext & Injected<U>) => F,
  options: { readonly uses: U },
): Dependency<Provided<F>, NoInfer<A> & DependencyArguments<U>>;
export function depends(factory: unknown, options: { readonly uses?: Dependencies } = {}): Dependency<unknown, never> {
  checkFactory('depends', factory);
  checkOptionNames(options, optionNames<{ uses: unknown }>({ uses: true }), 'depends.');
  return declare({ kind: 'depends', factory, uses: checkUses(options.uses ?? {}, 'depends.uses') });
}

/**
 * Declares a dependency that all executions on a worker thread share, such as a connection pool. It is created on first
 * use and cleaned up when the thread ends in an orderly way, before what it uses. Its factory is like that of
 * {@link depends}, but gets the context of the thread only, with its own `uses`, which are shared, too. When the factory
 * throws, the attempts that waited for it fail, and the next one tries again.
 * @throws InvalidOptionError when the factory is not a function, a name in `uses` is a name of the context, or a value
 *   there is not a shared dependency
 * @example
 * ```ts
 * const pool = shared(async function* ({ worker }) {
 *   const pool = new Pool({ application_name: worker.name });
 *   yield pool;
 *   await pool.end();
 * });
 * const repository = shared(({ pool }) => new Repository(pool), { uses: { pool } });
 * ```
 */
export function shared<F>(factory: (ctx: ThreadContext) => F): SharedDependency<Provided<F>>;
export function shared<F, U extends SharedDependencies>(
  factory: (ctx: ThreadContext & Injected<U>) => F,
  options: { readonly uses: U },
): SharedDependency<Provided<F>>;
export function shared(
  factory: unknown,
  options: { readonly uses?: SharedDependencies } = {},
): SharedDependency<unknown> {
  checkFactory('shared', factory);
  checkOptionNames(options, optionNames<{ uses: unknown }>({ uses: true }), 'shared.');
  const uses = checkUses(options.uses ?? {}, 'shared.uses');
  for (const [name, dependency] of Object.entries(uses)) {
    if (dependencyOf(dependency).kind === 'shared') continue;
    const problem = 'is made with depends() for one attempt, and a shared dependency outlives attempts: share it, too';
    throw new InvalidOptionError(`shared.uses.${name}`, problem);
  }
  return declare({ kind: 'shared', factory, uses }) as unknown as SharedDependency<unknown>;
}

/** Returns the definition of a dependency. */
export function dependencyOf(dependency: Dependency<unknown, never>): DependencyDefinition {
  return (dependency as unknown as { [DEFINITION]: DependencyDefinition })[DEFINITION];
}

/**
 * Checks declared dependencies and copies them, so that later changes have no effect.
 * @throws InvalidOptionError when a name is a name of the context, or a value is not a dependency
 */
export function checkUses(uses: unknown, option: string): Dependencies {
  if (typeof uses !== 'object' || uses === null) throw new InvalidOptionError(option, 'expected a record');
  for (const [name, dependency] of Object.entries(uses)) {
    if (CONTEXT_NAMES.has(name) || name in Object.prototype) {
      throw new InvalidOptionError(
        `${option}.${name}`,
        'the context already has a field of this name: choose another name',
      );
    }
    if (dependency === undefined) {
      const problem = 'is undefined: declare it before its user. Dependencies cannot use each other in a circle';
      throw new InvalidOptionError(`${option}.${name}`, problem);
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

/** In the global symbol registry, so that a task module with its own copy of docket works. */
const DEFINITION: unique symbol = Symbol.for('docket.dependency');
