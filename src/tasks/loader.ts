/** Loads task modules by reference: all of them, or an error. The one place that imports user code. */
import { pathToFileURL } from 'node:url';
import { DuplicateTaskError, TaskModuleError } from '../core/errors.js';
import { withBuiltins } from './builtin.js';
import { collectTasks } from './collection.js';
import { resolvePackage } from './package.js';
import { locateModule, parseReference } from './reference.js';
import { type AnyTask, isTask } from './task.js';

/** What the task modules of a worker export. */
export interface LoadedTasks {
  /** By name, with the built-in tasks. */
  readonly tasks: ReadonlyMap<string, AnyTask>;
}

/**
 * Imports task modules and collects their tasks.
 *
 * A reference is `module` or `module:export`; module is a file path, a `file:` URL or a package specifier. Without an
 * export it takes `tasks`, else `default`, else every task the module exports. TypeScript loads where Node strips types
 * (22.18 or newer) or `tsx` is installed. The built-in tasks `trace`, `fail` and `sleep` are always there; a user's task
 * of the same name takes the built-in's place.
 * @param from - folder that paths and packages are resolved from
 * @throws TaskModuleError when a module is missing, fails to load (`cause` is its own error) or exports no tasks
 * @throws DuplicateTaskError naming both modules when two different tasks share a name
 * @example
 * ```ts
 * const { tasks } = await loadTasks(['./dist/tasks.js', '@acme/billing:tasks']);
 * ```
 */
export async function loadTasks(references: readonly string[], from = process.cwd()): Promise<LoadedTasks> {
  const modules = references.map((reference): LocatedModule => {
    const { module, exportName } = parseReference(reference);
    return { reference, exportName, url: locateModule(reference, module, from) };
  });
  const typescript = modules.find(({ url }) => /\.[cm]?tsx?(?:[?#]|$)/.test(url));
  if (typescript !== undefined) await enableTypeScript(typescript.reference, from);

  const tasks = new Map<string, AnyTask>();
  const origins = new Map<string, string>();
  for (const module of modules) {
    for (const [name, task] of exportedTasks(module, await importModule(module))) {
      // The same task through two modules, one exporting the other's, is no conflict.
      if (tasks.has(name) && tasks.get(name) !== task) {
        throw new DuplicateTaskError(name, `${origins.get(name)} and ${module.reference}`);
      }
      tasks.set(name, task);
      origins.set(name, module.reference);
    }
  }
  return { tasks: withBuiltins(tasks) };
}

interface LocatedModule {
  readonly reference: string;
  readonly exportName: string | null;
  readonly url: string;
}

interface Namespace {
  readonly tasks?: unknown;
  readonly default?: unknown;
  readonly [name: string]: unknown;
}

async function importModule({ reference, url }: LocatedModule): Promise<Namespace> {
  try {
    return await import(url);
  } catch (cause) {
    const problem = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    throw new TaskModuleError(reference, `failed to load: ${problem}`, { cause });
  }
}

function exportedTasks({ reference, exportName }: LocatedModule, namespace: Namespace): Map<string, AnyTask> {
  if (exportName !== null && !(exportName in namespace)) {
    throw new TaskModuleError(reference, `has no export '${exportName}', ${exportsOf(namespace)}`);
  }
  const tasks = collect();
  if (tasks.size > 0) return tasks;
  throw new TaskModuleError(reference, `has no tasks: export them as 'tasks', ${exportsOf(namespace)}`);

  function collect(): Map<string, AnyTask> {
    if (exportName !== null) return collectTasks(namespace[exportName], reference);
    if ('tasks' in namespace) return collectTasks(namespace.tasks, `${reference}:tasks`);
    if (isCollection(namespace.default)) return collectTasks(namespace.default, `${reference}:default`);
    return collectTasks(namespace, reference);
  }
}

/** A default export that is one task among others, a class or a function does not hide the module's other exports. */
function isCollection(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !isTask(value);
}

function exportsOf(namespace: Namespace): string {
  const names = Object.keys(namespace);
  return names.length > 0 ? `it exports ${names.join(', ')}` : 'it exports nothing';
}

/**
 * Registers the user's `tsx` where Node itself does not strip types. By its API, since merely importing `tsx` registers it
 * on the main thread only.
 */
async function enableTypeScript(reference: string, from: string): Promise<void> {
  if ((process.features as { typescript?: unknown }).typescript) return;
  let tsx: string;
  try {
    tsx = resolvePackage('tsx/esm/api', from);
  } catch (cause) {
    const problem = `Node ${process.version} does not load TypeScript: install tsx, use Node 22.18 or newer, or compile it and pass the .js file`;
    throw new TaskModuleError(reference, problem, { cause });
  }
  const { register } = (await import(pathToFileURL(tsx).href)) as { register(): unknown };
  register();
}
