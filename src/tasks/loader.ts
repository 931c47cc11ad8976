/** Loads task modules by their references: all of them or none. User code is imported here only. */
import nodeModules from 'node:module'; // webpack puts a `require` of its own in place of an imported `createRequire`
import { fileURLToPath } from 'node:url';
import { DuplicateTaskError, TaskModuleError } from '../core/errors.js';
import type { ErrorClass } from '../wire/codec.js';
import { withBuiltins } from './builtin.js';
import { collectTasks } from './collection.js';
import { type ConfigurationDefinition, configurationOf, type OnFailed } from './configure.js';
import type { Dependency } from './dependencies.js';
import { enableTypeScript, importModule } from './import-module.js';
import type { TaskPolicies } from './policies.js';
import { locateModule, parseReference } from './reference.js';
import { locationOfSyntaxError } from './syntax-error.js';
import { type AnyTask, isTask, withDefaultPolicies } from './task.js';

/** The exports of a worker's task modules. */
export interface LoadedTasks {
  /** Tasks by their names, with the built-in tasks, and with the policies that the modules configure for all tasks. */
  readonly tasks: ReadonlyMap<string, AnyTask>;
  /** The task that runs in place of unknown ones; `null` when there is none. */
  readonly fallback: AnyTask | null;
  /** Dependencies of every attempt, outermost first. */
  readonly uses: readonly NamedDependency[];
  /** Classes of errors that the docket of a thread revives. */
  readonly errors: readonly ErrorClass[];
  /** Functions that are told of each execution that has failed for good. @default none */
  readonly onFailed?: readonly OnFailed[];
}

/** A dependency with its name on the context. */
export type NamedDependency = readonly [name: string, dependency: Dependency<unknown, never>];

/** Options of {@link loadTasks}. */
export interface LoadOptions {
  /**
   * The task that runs in place of unknown ones, itself or by reference: `module:export`. Without an export, it is the
   * export `fallback`, or else `default`. It takes precedence over the fallback that a module configures.
   * @default the fallback that a module configures, or else none
   */
  readonly fallback?: string | AnyTask | null;
}

/**
 * Imports task modules, and collects their tasks and the configurations in their exports `worker`.
 *
 * A reference is `module` or `module:export`, where module is a file path, a `file:` URL or a package specifier.
 * Without an export, the tasks are those of the export `tasks`, or else of `default`, or else all tasks that the module
 * exports. TypeScript loads when Node strips types (22.18 or newer) or `tsx` is installed. The built-in tasks `trace`,
 * `fail` and `sleep` are always included; a user's task of the same name replaces one.
 * @param from - folder from which paths and packages are resolved. @default the working directory
 * @throws TaskModuleError when a module is missing, fails to load (`cause` is its own error) or exports no tasks, or
 *   when two modules configure a fallback or the same policy
 * @throws DuplicateTaskError naming both modules when two different tasks have the same name
 * @example
 * ```ts
 * const { tasks } = await loadTasks(['./dist/tasks.js', '@acme/billing:tasks']);
 * ```
 */
export async function loadTasks(
  references: readonly string[],
  from = process.cwd(),
  options: LoadOptions = {},
): Promise<LoadedTasks> {
  const modules = references.map((reference) => locate(reference, from));
  const given = options.fallback ?? null;
  const fallbackModule = typeof given === 'string' ? locate(given, from) : null;
  const all = fallbackModule ? [...modules, fallbackModule] : modules;
  const typescript = all.find(({ url }) => /\.[cm]?tsx?(?:[?#]|$)/.test(url));
  if (typescript !== undefined) await enableTypeScript(typescript.reference, from);

  const tasks = new Map<string, AnyTask>();
  const origins = new Map<string, string>();
  const configurations = new Map<ConfigurationDefinition, string>();
  for (const module of modules) {
    const namespace = await load(module);
    for (const [name, task] of exportedTasks(module, namespace)) {
      // It is no conflict when a module exports a task of another one.
      if (tasks.has(name) && tasks.get(name) !== task) {
        throw new DuplicateTaskError(name, `${origins.get(name)} and ${module.reference}`);
      }
      tasks.set(name, task);
      origins.set(name, module.reference);
    }
    const configuration = exportedConfiguration(namespace);
    if (configuration && !configurations.has(configuration)) configurations.set(configuration, module.reference);
  }
  const definitions = [...configurations.keys()];
  const policies = configuredPolicies(configurations);
  const fallback = fallbackModule
    ? exportedFallback(fallbackModule, await load(fallbackModule))
    : ((given as AnyTask | null) ?? configuredFallback(configurations));
  const defaulted = Array.from(tasks, ([name, task]) => [name, withDefaultPolicies(task, policies)] as const);
  return {
    tasks: withBuiltins(new Map(defaulted)),
    fallback: fallback && withDefaultPolicies(fallback, policies),
    uses: definitions.flatMap(({ uses }) => Object.entries(uses)),
    errors: [...new Set(definitions.flatMap(({ errors }) => errors))],
    onFailed: definitions.flatMap(({ onFailed }) => onFailed ?? []),
  };
}

interface LocatedModule {
  readonly reference: string;
  readonly exportName: string | null;
  readonly url: string;
}

interface Namespace {
  readonly tasks?: unknown;
  readonly worker?: unknown;
  readonly default?: unknown;
  readonly [name: string]: unknown;
}

function locate(reference: string, from: string): LocatedModule {
  const { module, exportName } = parseReference(reference);
  return { reference, exportName, url: locateModule(reference, module, from) };
}

async function load({ reference, url }: LocatedModule): Promise<Namespace> {
  try {
    return exportsOfCommonJs(await importModule(url), url);
  } catch (cause) {
    const problem = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    const location = await locationOfSyntaxError(cause, url);
    throw new TaskModuleError(reference, `failed to load: ${problem}${location ? ` (${location})` : ''}`, { cause });
  }
}

/**
 * Returns the exports of a CommonJS module as those of a namespace, which may also have other things than tasks. Node
 * finds only some of them by name, and has all in `default`. Other modules are returned as they are.
 */
function exportsOfCommonJs(namespace: Namespace, url: string): Namespace {
  const { default: exports } = namespace;
  const isRecord = typeof exports === 'object' && exports !== null && !Array.isArray(exports) && !isTask(exports);
  if (!isRecord || !url.startsWith('file:')) return namespace;
  if (REQUIRED[fileURLToPath(url)]?.exports !== exports) return namespace;
  return { ...exports, [Symbol.toStringTag]: 'Module' } as Namespace;
}

/** The CommonJS modules that this process has loaded, by their paths; `import` loads them through it as well. */
const REQUIRED = nodeModules.createRequire(process.execPath).cache;

function exportedTasks({ reference, exportName }: LocatedModule, namespace: Namespace): Map<string, AnyTask> {
  checkExport(reference, exportName, namespace);
  const tasks = collect();
  if (tasks.size > 0 || (exportName === null && exportedConfiguration(namespace))) return tasks;
  throw new TaskModuleError(reference, `has no tasks: export them as 'tasks' (${exportsOf(namespace)})`);

  function collect(): Map<string, AnyTask> {
    if (exportName !== null) return collectTasks(namespace[exportName], reference);
    if ('tasks' in namespace) return collectTasks(namespace.tasks, `${reference}:tasks`);
    if (isCollection(namespace.default)) return collectTasks(namespace.default, `${reference}:default`);
    return collectTasks(namespace, reference);
  }
}

function checkExport(reference: string, exportName: string | null, namespace: Namespace): void {
  if (exportName === null || exportName in namespace) return;
  throw new TaskModuleError(reference, `has no export '${exportName}'; ${exportsOf(namespace)}`);
}

/** Finds the configuration of a module; `null` when it has none. An export `worker` of another kind is ignored. */
function exportedConfiguration({ worker, default: main }: Namespace): ConfigurationDefinition | null {
  // A module compiled to CommonJS may have all its exports in `default` only.
  return configurationOf(worker) ?? configurationOf((main as Namespace | null | undefined)?.worker);
}

function exportedFallback({ reference, exportName }: LocatedModule, namespace: Namespace): AnyTask {
  checkExport(reference, exportName, namespace);
  const name = exportName ?? ('fallback' in namespace ? 'fallback' : 'default');
  const fallback = namespace[name];
  if (isTask(fallback)) return fallback;
  throw new TaskModuleError(
    reference,
    `the fallback must be a task, but '${name}' is not one; ${exportsOf(namespace)}`,
  );
}

function configuredFallback(configurations: ReadonlyMap<ConfigurationDefinition, string>): AnyTask | null {
  const origins = new Map<AnyTask, string>();
  for (const [{ fallback }, reference] of configurations) {
    if (!fallback || origins.has(fallback)) continue;
    const [other] = origins.values();
    if (other !== undefined) {
      throw new TaskModuleError(reference, `configures a fallback, and so does '${other}': keep one of them`);
    }
    origins.set(fallback, reference);
  }
  const [fallback = null] = origins.keys();
  return fallback;
}

/** Collects the policies for all tasks. Each policy may be configured once. */
function configuredPolicies(configurations: ReadonlyMap<ConfigurationDefinition, string>): TaskPolicies {
  const all: TaskPolicies = {};
  const origins = new Map<string, string>();
  for (const [{ policies = {} }, reference] of configurations) {
    for (const policy of Object.keys(policies)) {
      const other = origins.get(policy);
      const option = policy === 'timeoutMs' ? 'timeout' : policy;
      if (other !== undefined) {
        throw new TaskModuleError(reference, `configures '${option}', and so does '${other}': keep one of them`);
      }
      origins.set(policy, reference);
    }
    Object.assign(all, policies);
  }
  return all;
}

/** A default export that is a single task, a class or a function does not hide the other exports of the module. */
function isCollection(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !isTask(value);
}

function exportsOf(namespace: Namespace): string {
  const names = Object.keys(namespace);
  return names.length > 0 ? `it exports ${names.join(', ')}` : 'it exports nothing';
}
