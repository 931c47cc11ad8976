/** Puts values of a test in place of dependencies, wherever a task or its dependencies use them. */
import { InvalidOptionError } from '../core/errors.js';
import {
  type Dependencies,
  type Dependency,
  dependencyOf,
  depends,
  type SharedDependencies,
  shared,
} from './dependencies.js';
import { type AnyTask, definitionOf, withUses } from './task.js';

/** Values by the names that the dependencies they replace have on a context. */
export type Substitutes = Readonly<Record<string, unknown>>;

/**
 * Returns copies of tasks whose dependencies of these names are these values, at any depth. The factories of what is replaced
 * do not run, and nothing cleans the values up.
 * @throws InvalidOptionError for a name that none of the tasks and their dependencies uses
 */
export function withSubstitutes(tasks: readonly AnyTask[], substitutes: Substitutes): AnyTask[] {
  // A generator, whose value is never disposed.
  const constants = new Map<string, Dependency<unknown, never>>(
    Object.entries(substitutes).map(([name, value]) => [
      name,
      shared(function* () {
        yield value;
      }),
    ]),
  );
  const unused = new Set(constants.keys());
  const made = new Map<Dependency<unknown, never>, Dependency<unknown, never>>();

  function replaceIn(uses: Dependencies): Dependencies {
    const entries = Object.entries(uses).map(([name, dependency]) => {
      const constant = constants.get(name);
      unused.delete(name);
      return [name, constant ?? rebuilt(dependency)] as const;
    });
    return Object.fromEntries(entries);
  }

  /** The same dependency with the same factory, so that its users still share one value. */
  function rebuilt(dependency: Dependency<unknown, never>): Dependency<unknown, never> {
    const known = made.get(dependency);
    if (known) return known;
    const { kind, factory, uses = {} } = dependencyOf(dependency);
    const copy =
      kind === 'shared'
        ? shared(factory as () => unknown, { uses: replaceIn(uses) as SharedDependencies })
        : depends(factory as () => unknown, { uses: replaceIn(uses) });
    made.set(dependency, copy);
    return copy;
  }

  const replaced = tasks.map((task) => {
    const { uses } = definitionOf(task);
    return uses ? withUses(task, replaceIn(uses)) : task;
  });
  const [name] = unused;
  if (name === undefined) return replaced;
  const of = tasks.length === 1 ? `task '${tasks[0]!.name}'` : 'none of the tasks';
  const problem = tasks.length === 1 ? `${of} uses no dependency of this name` : `${of} uses a dependency of this name`;
  throw new InvalidOptionError(`dependencies.${name}`, problem);
}
