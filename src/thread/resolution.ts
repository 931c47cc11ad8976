/**
 * Creates the dependencies of one attempt before its body, and cleans them up after it.
 *
 * Owns the order: factories run one after the other as declared, the dependencies of a dependency before itself, and
 * clean-ups run strictly in reverse. Each factory runs at most once, however many dependencies use it.
 */
import type { ThreadContext } from '../tasks/context.js';
import { type Dependencies, type Dependency, dependencyOf } from '../tasks/dependencies.js';
import type { NamedDependency } from '../tasks/loader.js';
import type { Attempt } from './attempt.js';
import { AttemptContext } from './context.js';
import { lineOf } from './failure.js';
import { provisionOf } from './provision.js';
import type { SharedInstances } from './shared-instances.js';

interface Failure {
  readonly name: string;
  readonly error: unknown;
}

/** Values of dependencies by the names they have on a context. */
type Values = Record<string, unknown>;

export class Resolution {
  readonly #attempt: Attempt;
  readonly #shared: SharedInstances;
  readonly #args: unknown;
  /** Values by their factories. */
  readonly #values = new Map<unknown, unknown>();
  /** Factories that threw, or whose own dependencies did. */
  readonly #failed = new Set<unknown>();
  readonly #failures: Failure[] = [];
  readonly #cleanUps: { readonly name: string; readonly cleanUp: () => unknown }[] = [];

  constructor(attempt: Attempt, shared: SharedInstances, args: unknown) {
    this.#attempt = attempt;
    this.#shared = shared;
    this.#args = args;
  }

  /**
   * Creates dependencies and returns their values by name. Goes on after a failure, so that the error can name all
   * failures.
   * @throws AggregateError naming the dependencies that failed, with their errors; or, at once, the reason why the
   *   attempt must stop
   */
  async open(uses: readonly NamedDependency[]): Promise<Values> {
    const values = await this.#level(uses, '');
    if (values) return values;
    throw aggregate(`dependencies of '${this.#attempt.envelope.task}' failed`, this.#failures);
  }

  /**
   * Cleans up everything that was created, the last one first, also after a failure.
   * @throws AggregateError naming the dependencies whose clean-up failed, with their errors
   */
  async close(): Promise<void> {
    const failures: Failure[] = [];
    for (let last = this.#cleanUps.pop(); last; last = this.#cleanUps.pop()) {
      try {
        await last.cleanUp();
      } catch (error) {
        failures.push({ name: last.name, error });
      }
    }
    if (failures.length === 0) return;
    throw aggregate(`the clean-up of dependencies of '${this.#attempt.envelope.task}' failed`, failures);
  }

  /** Creates one level of dependencies and returns their values by name; `null` when one of them failed. */
  async #level(uses: readonly NamedDependency[], user: string): Promise<Values | null> {
    const values: Values = {};
    let isComplete = true;
    for (const [name, dependency] of uses) {
      const path = user === '' ? name : `${user}.${name}`;
      if (await this.#resolve(dependency, path)) values[name] = this.#values.get(dependencyOf(dependency).factory);
      else isComplete = false;
    }
    return isComplete ? values : null;
  }

  /** Creates one dependency, unless it exists. Returns whether it has a value. */
  async #resolve(dependency: Dependency<unknown, never>, name: string): Promise<boolean> {
    const definition = dependencyOf(dependency);
    const { factory } = definition;
    if (this.#values.has(factory)) return true;
    if (this.#failed.has(factory)) return false; // reported under the name of its first user
    this.#attempt.throwIfStopped();
    try {
      const isMade =
        definition.kind === 'shared'
          ? await this.#share(definition.factory, definition.uses ?? {}, name)
          : await this.#make(definition.factory, definition.uses, name);
      if (!isMade) this.#failed.add(factory);
    } catch (error) {
      this.#failed.add(factory);
      this.#failures.push({ name, error });
    }
    return this.#values.has(factory);
  }

  /** Gets the instance of a shared dependency. If the thread has none, creates those that it uses, and then it. */
  async #share(factory: (ctx: ThreadContext) => unknown, uses: Dependencies, name: string): Promise<boolean> {
    const values = this.#shared.has(factory) ? {} : await this.#level(Object.entries(uses), name);
    if (!values) return false;
    this.#values.set(factory, await this.#shared.get(factory, name, values));
    return true;
  }

  async #make(factory: (args: unknown, ctx: object) => unknown, uses: Dependencies, name: string): Promise<boolean> {
    const values = await this.#level(Object.entries(uses), name);
    if (!values) return false;
    const context = Object.assign(new AttemptContext(this.#attempt), values);
    const { value, cleanUp } = await provisionOf(factory(this.#args, context), Object.values(values));
    if (cleanUp) this.#cleanUps.push({ name, cleanUp });
    this.#values.set(factory, value);
    return true;
  }
}

function aggregate(problem: string, failures: readonly Failure[]): AggregateError {
  const named = failures.map(({ name, error }) => `${name} (${lineOf(error)})`).join(', ');
  return new AggregateError(
    failures.map(({ error }) => error),
    `${problem}: ${named}`,
  );
}
