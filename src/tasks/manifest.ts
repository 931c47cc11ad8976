/** What a thread tells the coordinator about its tasks: names and policies, never code. */
import type { TaskPolicies } from './policies.js';
import { type AnyTask, definitionOf } from './task.js';

/** Everything a thread can run. */
export interface Manifest {
  readonly tasks: readonly TaskManifest[];
  /** Policies of the task that runs in place of unknown ones; `null` when there is none. */
  readonly fallback: TaskPolicies | null;
}

/** One task as the coordinator knows it; structured-cloneable. */
export interface TaskManifest {
  readonly name: string;
  readonly policies: TaskPolicies;
}

/** Describes what was loaded as plain data. */
export function manifestOf(loaded: {
  readonly tasks: ReadonlyMap<string, AnyTask>;
  readonly fallback: AnyTask | null;
}): Manifest {
  const tasks = Array.from(loaded.tasks.values(), (task) => {
    const { name, policies } = definitionOf(task);
    return { name, policies };
  });
  return { tasks, fallback: loaded.fallback && definitionOf(loaded.fallback).policies };
}
