/** The name of a task that a caller gives by itself or by its name. */
import { InvalidOptionError } from '../core/errors.js';
import { shown } from '../core/options.js';
import { type AnyTask, isTask } from '../tasks/task.js';

/** Returns the name as it was given: it is not checked. */
export function taskNameOf(task: AnyTask | string): string;
export function taskNameOf(task: AnyTask | string | null): string | null;
export function taskNameOf(task: AnyTask | string | null): string | null {
  return isTask(task) ? task.name : task;
}

/**
 * Returns the name of a task by which something is chosen.
 * @throws InvalidOptionError when it is none
 */
export function checkedTaskName(task: AnyTask | string): string {
  const name: unknown = taskNameOf(task);
  if (typeof name === 'string' && name !== '') return name;
  throw new InvalidOptionError('task', `expected a task or its name, got ${shown(task)}`);
}
