/** The name of a task that a caller gives by itself or by its name. */
import { type AnyTask, isTask } from '../tasks/task.js';

/** Returns the name as it was given: it is not checked. */
export function taskNameOf(task: AnyTask | string): string;
export function taskNameOf(task: AnyTask | string | null): string | null;
export function taskNameOf(task: AnyTask | string | null): string | null {
  return isTask(task) ? task.name : task;
}
