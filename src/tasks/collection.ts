/** Collections: tasks by name, where each name occurs once. */
import { DuplicateTaskError, InvalidOptionError, TaskModuleError } from '../core/errors.js';
import { type AnyTask, isTask } from './task.js';

/** A record of tasks by name, as {@link collection} makes it. */
export type Collection<T extends AnyTask> = { readonly [K in T as K['name']]: K };

/**
 * Gathers tasks into a record by name, which workers load and by which producers are typed.
 * @throws DuplicateTaskError naming both positions when two tasks share a name
 * @throws InvalidOptionError when a value is not a task
 * @example
 * ```ts
 * export const tasks = collection(hello, charge);
 * // in the producer, without loading any task code:
 * // import type { tasks } from './tasks.js';
 * // const docket = new Docket<typeof tasks>();
 * ```
 */
export function collection<const T extends readonly AnyTask[]>(...tasks: T): Collection<T[number]> {
  const positions = new Map<string, number>();
  tasks.forEach((task, index) => {
    const position = index + 1;
    if (!isTask(task)) throw new InvalidOptionError('collection', `argument ${position} ${isNoTask(task)}`);
    const first = positions.get(task.name);
    if (first !== undefined)
      throw new DuplicateTaskError(task.name, `arguments ${first} and ${position} of collection`);
    positions.set(task.name, position);
  });
  // fromEntries defines own properties, so that a task may even be called `__proto__`.
  return Object.freeze(Object.fromEntries(tasks.map((task) => [task.name, task]))) as unknown as Collection<T[number]>;
}

/**
 * Finds the tasks in a task, a record, an array or a module namespace. A namespace may export other things too; in a
 * record or an array everything must be a task. The same task may occur twice.
 * @param where - what the value is, for errors, such as `./tasks.js:tasks`
 * @throws TaskModuleError naming the field that is not a task
 * @throws DuplicateTaskError naming both fields when two different tasks share a name
 */
export function collectTasks(value: unknown, where: string): Map<string, AnyTask> {
  const tasks = new Map<string, AnyTask>();
  const fields = new Map<string, string>();
  for (const [field, entry] of entriesOf(value, where)) {
    if (!isTask(entry)) {
      if (isNamespace(value)) continue;
      throw new TaskModuleError(where, `'${field}' ${isNoTask(entry)}`);
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

/** Modules compiled to CommonJS show themselves as their `default` export, an object marked with `__esModule`. */
function isNamespace(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === 'Module' || '__esModule' in value;
}

function isNoTask(value: unknown): string {
  return `is ${describe(value)}, not a task made with task()`;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
