/** Manifests: the names and policies of a thread's tasks, which it sends to the coordinator. Never code. */
import { isBuiltin } from './builtin.js';
import type { TaskPolicies } from './policies.js';
import { type AnyTask, definitionOf, type LoggedArguments } from './task.js';

/** All tasks that a thread can run. Structured-cloneable. */
export interface Manifest {
  readonly tasks: readonly TaskManifest[];
  /** Policies of the task that runs in place of unknown ones; `null` when there is none. */
  readonly fallback: TaskPolicies | null;
  /** Whether a module has an `onFailed`. */
  readonly hasOnFailed?: boolean;
}

/** One task as the coordinator knows it. */
export interface TaskManifest {
  readonly name: string;
  readonly policies: TaskPolicies;
  /** The arguments that are not private; absent when it lists none. */
  readonly logged?: LoggedArguments;
  /** Whether every worker has it; absent for a task of the user. */
  readonly isBuiltin?: true;
}

/** Merges the manifests of threads. Where they differ, the later one counts: it was started after a deploy in place. */
export function mergeManifests(manifests: readonly Manifest[]): Manifest {
  const tasks = new Map(manifests.flatMap((manifest) => manifest.tasks.map((task) => [task.name, task])));
  const fallbacks = manifests.map((manifest) => manifest.fallback);
  const fallback = fallbacks.findLast((one) => one !== null) ?? null;
  const hasOnFailed = manifests.some((manifest) => manifest.hasOnFailed === true);
  return { tasks: [...tasks.values()], fallback, ...(hasOnFailed && { hasOnFailed }) };
}

/** Returns the manifest of loaded tasks. */
export function manifestOf(loaded: {
  readonly tasks: ReadonlyMap<string, AnyTask>;
  readonly fallback: AnyTask | null;
  readonly onFailed?: readonly unknown[];
}): Manifest {
  const tasks = Array.from(loaded.tasks.values(), (task) => {
    const { name, policies, logged } = definitionOf(task);
    return { name, policies, ...(logged && { logged }), ...(isBuiltin(task) && { isBuiltin: true as const }) };
  });
  const fallback = loaded.fallback && definitionOf(loaded.fallback).policies;
  return { tasks, fallback, ...(loaded.onFailed?.length && { hasOnFailed: true }) };
}
