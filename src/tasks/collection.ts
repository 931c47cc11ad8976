/** Collections: tasks by their names, each of which occurs once. */
import { DuplicateTaskError, InvalidOptionError, TaskModuleError } from '../core/errors.js';
import { type AnyTask, isTask } from './task.js';

/** A record of tasks by their names, made with {@link collection}. */
export type Collection<T extends AnyTask> = { readonly [K in T as K['name']]: K };

/**
 * Gathers tasks into a record by their names. Workers load it, and its type makes a producer's `add` by name typed.
 * @throws DuplicateTaskError naming both positions when two tasks have the same name
 * @throws InvalidOptionError when a value is not a task
 * @example
 * ```ts
 * export const tasks = collection(hello, charge);
 * // In the producer, which loads no task code:
 * // import type { tasks } from './tasks.js';
 * // const docket = new Docket<typeof tasks>();
 * ```
 */
export function collection<const T extends readonly AnyTask[]>(...tasks: T): Collection<T[number]> {
  const positions = new Map<string, number>();
  tasks.forEach((task, index) => {
    const position = index + 1;
    if (!isTask(task)) throw new InvalidOptionError('collection', `argument ${position} ${notATask(task)}`);
    const first = positions.get(task.name);
    if (first !== undefined)
      throw new DuplicateTaskError(task.name, `arguments ${first} and ${position} of collection`);
    positions.set(task.name, position);
  });
  // fromEntries defines own properties, so even a task named `__proto__` works.
  return Object.freeze(Object.fromEntries(tasks.map((task) => [task.name, task]))) as unknown as Collection<T[number]>;
}

/**
 * Finds the tasks in a task, a record, an array or a module namespace. A namespace may also export other things; in a
 * record or an array, every value must be a task. The same task may occur twice.
 * @param where - where the value comes from, for errors, such as `./tasks.js:tasks`
 * @throws TaskModuleError naming the field that is not a task
 * @throws DuplicateTaskError naming both fields when two different tasks have the same name
 */
export function collectTasks(value: unknown, where: string): Map<string, AnyTask> {
  const tasks = new Map<string, AnyTask>();
  const fields = new Map<string, string>();
  for (const [field, entry] of entriesOf(value, where)) {
    if (!isTask(entry)) {
      if (isNamespace(value)) continue;
      throw new TaskModuleError(where, `'${field}' ${notATask(entry)}`);
    }
    const other = tasks.get(entry.name);
    if (other !== undefined && other !== entry) {
      throw new DuplicateTaskError(entry.name, `'${fields.get(entry.name)}' and '${field}' of ${where}`);
    }
    tasks.set(entry.name, entry);
    fields.set(entry.name, field);
  }
  return tasks;
}

function entriesOf(value: unknown, where: string): [field: string, entry: unknown][] {
  if (isTask(value)) return [[value.name, value]];
  if (typeof value === 'object' && value !== null) return Object.entries(value);
  throw new TaskModuleError(where, `expected a record or an array of tasks, got ${describe(value)}`);
}

/** A module compiled to CommonJS appears as its `default` export, an object marked with `__esModule`. */
function isNamespace(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === 'Module' || '__esModule' in value;
}

/** Says what a value is instead of a task. */
function notATask(value: unknown): string {
  return `is ${describe(value)}, not a task made with task()`;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
