/** What a thread tells the coordinator about its tasks: names and policies, never code. */
import type { TaskPolicies } from './policies.js';
import { type AnyTask, definitionOf } from './task.js';

/** One task as the coordinator knows it; structured-cloneable. */
export interface TaskManifest {
  readonly name: string;
  readonly policies: TaskPolicies;
}

/** Describes tasks as plain data. */
export function manifestOf(tasks: Iterable<AnyTask>): TaskManifest[] {
  return Array.from(tasks, (task) => {
    const { name, policies } = definitionOf(task);
    return { name, policies };
  });
}
