/**
 * The dependencies of one execution: makes them before the body, cleans them up after it.
 *
 * Owns the order: one factory after the other, as declared, the dependencies of a dependency before it; clean-ups
 * strictly in reverse. Each factory runs at most once, however many use it.
 */
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

type Values = Record<string, unknown>;

export class Resolution {
  readonly #attempt: Attempt;
  readonly #shared: SharedInstances;
  readonly #args: unknown;
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
   * Makes one level of dependencies and gives them by name. Goes on after a failure, so that all of them are told.
   * @throws AggregateError naming those that failed, with what they threw; or why the attempt must stop, at once
   */
  async open(uses: readonly NamedDependency[]): Promise<Values> {
    const values = await this.#level(uses, '');
    if (values) return values;
    throw aggregate(`dependencies of '${this.#attempt.envelope.task}' failed`, this.#failures);
  }

  /**
   * Cleans up what was made, the last one first, all of it.
   * @throws AggregateError naming those that failed, with what they threw
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

  /** The values by name; `null` when one is missing. */
  async #level(uses: readonly NamedDependency[], user: string): Promise<Values | null> {
    const values: Values = {};
    let isWhole = true;
    for (const [own, dependency] of uses) {
      const name = user === '' ? own : `${user}.${own}`;
      if (await this.#resolve(dependency, name)) values[own] = this.#values.get(dependencyOf(dependency).factory);
      else isWhole = false;
    }
    return isWhole ? values : null;
  }

  async #resolve(dependency: Dependency<unknown, never>, name: string): Promise<boolean> {
    const definition = dependencyOf(dependency);
    const { factory } = definition;
    if (this.#values.has(factory)) return true;
    if (this.#failed.has(factory)) return false; // told already, under the name of its first user
    this.#attempt.throwIfStopped();
    try {
      if (definition.kind === 'shared') this.#values.set(factory, await this.#shared.get(definition.factory, name));
      else if (!(await this.#make(definition.factory, definition.uses, name))) this.#failed.add(factory);
    } catch (error) {
      this.#failed.add(factory);
      this.#failures.push({ name, error });
    }
    return this.#values.has(factory);
  }

  async #make(factory: (args: unknown, ctx: object) => unknown, uses: Dependencies, name: string): Promise<boolean> {
    const own = await this.#level(Object.entries(uses), name);
    if (!own) return false;
    const context = Object.assign(new AttemptContext(this.#attempt), own);
    const { value, cleanUp } = await provisionOf(factory(this.#args, context), Object.values(own));
    if (cleanUp) this.#cleanUps.push({ name, cleanUp });
    this.#values.set(factory, value);
    return true;
  }
}

function aggregate(what: string, failures: readonly Failure[]): AggregateError {
  const named = failures.map(({ name, error }) => `${name} (${lineOf(error)})`).join(', ');
  return new AggregateError(
    failures.map(({ error }) => error),
    `${what}: ${named}`,
  );
}
