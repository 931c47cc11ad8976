import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DuplicateTaskError, TaskModuleError } from '../../../src/core/errors.js';
import { loadTasks } from '../../../src/tasks/loader.js';
import { parseReference } from '../../../src/tasks/reference.js';
import { definitionOf, task } from '../../../src/tasks/task.js';

const fixtures = fileURLToPath(new URL('../../fixtures/loader', import.meta.url));
const builtins = ['trace', 'fail', 'sleep'];
const stripsTypes = Boolean((process.features as { typescript?: unknown }).typescript);

async function namesOf(...references: string[]): Promise<string[]> {
  const { tasks } = await loadTasks(references, fixtures);
  return [...tasks.keys()].filter((name) => !builtins.includes(name));
}

async function failureOf(...references: string[]): Promise<TaskModuleError> {
  const error = await loadTasks(references, fixtures).then(
    () => expect.fail('it loaded'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TaskModuleError);
  return error as TaskModuleError;
}

test.each([
  ['./tasks.js', './tasks.js', null],
  ['./tasks.js:mine', './tasks.js', 'mine'],
  ['/srv/tasks.js:$mine_2', '/srv/tasks.js', '$mine_2'],
  ['C:\\srv\\tasks.js', 'C:\\srv\\tasks.js', null],
  ['C:\\srv\\tasks.js:mine', 'C:\\srv\\tasks.js', 'mine'],
  ['C:/srv/tasks.js', 'C:/srv/tasks.js', null],
  ['file:///srv/tasks.js', 'file:///srv/tasks.js', null],
  ['file:///C:/srv/tasks.js:mine', 'file:///C:/srv/tasks.js', 'mine'],
  ['@acme/tasks', '@acme/tasks', null],
  ['@acme/tasks/billing:mine', '@acme/tasks/billing', 'mine'],
])('the reference %s names the module %s and the export %s', (reference, module, exportName) => {
  expect(parseReference(reference)).toEqual({ module, exportName });
});

test("a reference without an export loads the export 'tasks'", async () => {
  expect(await namesOf('./named.js')).toEqual(['greet']);
});

test("a module without the export 'tasks' loads its default export", async () => {
  expect(await namesOf('./default.js')).toEqual(['greet', 'part']);
});

test('a module that exports single tasks loads all of them', async () => {
  expect(await namesOf('./loose.js')).toEqual(['one', 'two']);
});

test('a named export can be a collection or one task', async () => {
  expect(await namesOf('./default.js:default')).toEqual(['greet', 'part']);
  expect(await namesOf('./named.js:other')).toEqual(['other']);
});

test('a module can be given as a relative path, an absolute path or a URL', async () => {
  const path = join(fixtures, 'named.js');
  for (const module of ['named.js', './named.js', path, pathToFileURL(path).href]) {
    expect(await namesOf(`${module}:tasks`)).toEqual(['greet']);
  }
});

test('the built-in tasks are always loaded', async () => {
  expect([...(await loadTasks([])).tasks.keys()]).toEqual(builtins);
});

test("a user's task replaces a built-in one of the same name", async () => {
  const { tasks } = await loadTasks(['./builtin-name.js'], fixtures);
  expect([...tasks.keys()].sort()).toEqual([...builtins].sort());
  expect(definitionOf(tasks.get('sleep')!).run({}, {} as never)).toBe('mine');
});

test('two modules with different tasks of one name are refused with both modules', async () => {
  const loading = loadTasks(['./named.js', './conflict.js'], fixtures);
  await expect(loading).rejects.toThrow(DuplicateTaskError);
  await expect(loading).rejects.toThrow(/'greet' \(\.\/named\.js and \.\/conflict\.js\)/);
});

test('the same task can be exported by two modules', async () => {
  expect(await namesOf('./named.js', './reexport.js', './named.js')).toEqual(['greet']);
});

test('a missing file is reported with its path', async () => {
  expect((await failureOf('./nowhere.js')).message).toContain(`there is no file ${join(fixtures, 'nowhere.js')}`);
  expect((await failureOf('./named.js/inner.js')).message).toContain('there is no file');
  expect((await failureOf('')).message).toContain('name a file');
});

test('the error of a path without its extension suggests the likely file', async () => {
  expect((await failureOf('./named')).message).toContain('did you mean ./named.js?');
});

test('a missing package is reported as neither file nor package', async () => {
  expect((await failureOf('@acme/nowhere')).message).toContain("nor a package '@acme/nowhere'");
});

test('the error of a missing export lists the existing ones', async () => {
  const { message } = await failureOf('./empty.js:mine');
  expect(message).toContain("has no export 'mine'");
  expect(message).toMatch(/it exports .*limit/);
  expect(message).toMatch(/it exports .*helper/);
});

test('a module without tasks is refused', async () => {
  expect((await failureOf('./empty.js')).message).toContain("export them as 'tasks'");
});

test('a value in a collection that is not a task is refused by its name', async () => {
  expect((await failureOf('./mixed.js')).message).toContain("./mixed.js:tasks': 'helper' is a function");
});

test('a module that fails to load is reported with its own error', async () => {
  const error = await failureOf('./named.js', './broken.js');
  expect(error.reference).toBe('./broken.js');
  expect(error.message).toContain('RangeError: the configuration is incomplete');
  expect(error.cause).toBeInstanceOf(RangeError);
});

test.skipIf(stripsTypes)('the error for TypeScript without a loader is one line', async () => {
  const { message } = await failureOf('./typed.ts');
  expect(message).toContain('install tsx, use Node 22.18 or newer, or compile it');
  expect(message).not.toContain('\n');
});

test.runIf(stripsTypes)('TypeScript loads where Node strips types', async () => {
  expect(await namesOf('./typed.ts')).toEqual(['typed']);
});

// ---------------------------------------------------------------- configuration

test('the configurations of modules are combined in the order of the modules', async () => {
  const { uses, errors, fallback, tasks } = await loadTasks(['./configured.js', './configured-too.js'], fixtures);
  expect(uses.map(([name]) => name)).toEqual(['tracing', 'metrics']);
  expect(errors.map(({ name }) => name)).toEqual(['PaymentDeclined']);
  expect(fallback?.name).toBe('fallback');
  expect([...tasks.keys()]).toEqual([...builtins, 'bill', 'fallback', 'refund']);
});

test('the configuration of a module is loaded also when its reference names an export', async () => {
  expect((await loadTasks(['./configured-too.js:tasks'], fixtures)).uses).toHaveLength(1);
});

test('modules without a configuration give an empty one', async () => {
  expect(await loadTasks(['./named.js'], fixtures)).toMatchObject({ uses: [], errors: [], fallback: null });
  expect(await loadTasks([])).toMatchObject({ uses: [], errors: [], fallback: null });
});

test('a module can have a configuration and no tasks', async () => {
  const { fallback } = await loadTasks(['./configured-again.js'], fixtures);
  expect(fallback?.name).toBe('second');
});

test("an export 'worker' that is not a configuration is ignored", async () => {
  expect(await namesOf('./worker-of-its-own.js')).toEqual(['bill']);
});

test('the same configuration through two modules counts once', async () => {
  const { uses, fallback } = await loadTasks(['./configured.js', './configured-reexport.js'], fixtures);
  expect([uses.length, fallback?.name]).toEqual([1, 'fallback']);
});

test('two fallbacks are refused with both modules', async () => {
  const { message } = await failureOf('./configured.js', './configured-again.js');
  expect(message).toContain(
    "task module './configured-again.js': configures a fallback, and so does './configured.js'",
  );
});

test('the policies that a module configures apply to all tasks that do not declare their own', async () => {
  const { tasks, fallback } = await loadTasks(['./named.js', './policies.js'], fixtures);
  const configured = { timeoutMs: 300_000, retry: { attempts: 3 }, limits: [{ kind: 'concurrency', max: 2 }] };
  const policiesOf = (name: string) => definitionOf(tasks.get(name)!).policies;
  expect(policiesOf('bare')).toMatchObject(configured);
  expect(policiesOf('greet')).toMatchObject(configured); // of another module
  expect(policiesOf('own')).toMatchObject({ timeoutMs: 1_000, retry: { attempts: 1 }, limits: [] });
  expect(definitionOf(fallback!).policies).toMatchObject({ ...configured, timeoutMs: 2_000 });
  expect(policiesOf('sleep')).toEqual({}); // the built-in tasks keep theirs
  const value = task('value', () => {});
  const given = await loadTasks(['./policies.js'], fixtures, { fallback: value });
  expect(definitionOf(given.fallback!)).toMatchObject({ name: 'value', policies: configured });
  expect(definitionOf(value).policies).toEqual({});
});

test('the same policy in two configurations is refused with both modules', async () => {
  const { message } = await failureOf('./policies.js', './policies-too.js');
  expect(message).toContain(
    "task module './policies-too.js': configures 'retry', and so does './policies.js': keep one of them",
  );
});

test.each([
  ['./configured-too.js:fallback', 'other fallback'],
  ['./configured-too.js', 'other fallback'],
  ['./loose.js', 'one'], // its default
  ['./named.js:greet', 'greet'],
])('a fallback that is given as %s takes precedence over a configured one', async (reference, name) => {
  const references = ['./configured.js', './configured-again.js'];
  const { fallback, uses, tasks } = await loadTasks(references, fixtures, { fallback: reference });
  expect(fallback?.name).toBe(name);
  expect(uses).toHaveLength(1); // its module is not a task module of the worker
  expect(tasks.has(name)).toBe(false);
});

test.each([
  ['./configured.js:nowhere', "has no export 'nowhere'"],
  ['./named.js', "the fallback must be a task, but 'default' is not one; it exports"],
  ['./named.js:tasks', "the fallback must be a task, but 'tasks' is not one"],
  ['./missing.js', 'there is no file'],
])('a fallback that is not a task is refused (%s)', async (fallback, problem) => {
  const loading = loadTasks([], fixtures, { fallback });
  await expect(loading).rejects.toThrow(TaskModuleError);
  await expect(loading).rejects.toThrow(problem);
});

let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'docket-loader-'));
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

function install(name: string, manifest: object, file: string, source: string): void {
  const folder = join(project, 'node_modules', name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, ...manifest }));
  writeFileSync(join(folder, file), source);
}

/** The source of a task as another copy of docket would create it. */
const TASK_OF_ANOTHER_COPY = `{ name: 'bill', [Symbol.for('docket.task')]: { name: 'bill', policies: {}, run() {} } }`;

test('a package is resolved from the given folder, and can use its own copy of docket', async () => {
  const source = `export const tasks = [${TASK_OF_ANOTHER_COPY}];`;
  install('@acme/tasks', { type: 'module', exports: { './billing': './billing.js' } }, 'billing.js', source);
  const { tasks } = await loadTasks(['@acme/tasks/billing:tasks'], project);
  expect([...tasks.keys()]).toContain('bill');
});

test('a package that can only be imported is found', async () => {
  const source = `export default [${TASK_OF_ANOTHER_COPY}];`;
  const exports = { '.': { types: './main.d.ts', import: { browser: './no.js', default: './main.js' } } };
  install('esm-only', { type: 'module', exports }, 'main.js', source);
  const { tasks } = await loadTasks(['esm-only'], project);
  expect([...tasks.keys()]).toContain('bill');
});

test('a path that a package does not export is reported', async () => {
  install('closed', { type: 'module', exports: './main.js' }, 'main.js', '');
  await expect(loadTasks(['closed/inner'], project)).rejects.toThrow(
    /task module 'closed\/inner': .*inner.* not defined/,
  );
});

test('tasks of a CommonJS package are loaded', async () => {
  const source = `exports.__esModule = true; exports.helper = () => {}; exports.bill = ${TASK_OF_ANOTHER_COPY};`;
  install('acme', { main: 'main.js' }, 'main.js', source);
  const { tasks } = await loadTasks(['acme'], project);
  expect([...tasks.keys()]).toContain('bill');
});

test.skipIf(stripsTypes)('TypeScript loads where tsx is installed', async () => {
  const register = 'export const register = () => { globalThis.registered = (globalThis.registered ?? 0) + 1; };';
  const exports = { './esm/api': { import: { types: './api.d.ts', default: './api.mjs' }, require: './api.cjs' } };
  install('tsx', { exports }, 'api.mjs', register);
  const { tasks } = await loadTasks([join(fixtures, 'typed.ts')], project);
  expect([...tasks.keys()]).toContain('typed');
  expect(globalThis).toHaveProperty('registered', 1);
  Reflect.deleteProperty(globalThis, 'registered');
});

test('the configuration of a CommonJS package is loaded', async () => {
  const configuration = "{ [Symbol.for('docket.configuration')]: { uses: {}, fallback: null, errors: [RangeError] } }";
  const exported = `{ __esModule: true, bill: ${TASK_OF_ANOTHER_COPY}, worker: ${configuration} }`;
  install('acme', { main: 'main.js' }, 'main.js', `module.exports = Object.assign({}, ${exported});`);
  const { tasks, errors } = await loadTasks(['acme'], project);
  expect([...tasks.keys()]).toContain('bill');
  expect(errors).toEqual([RangeError]);
});

test('a CommonJS module may have other exports than tasks, as an ES module may', async () => {
  const exported = `{ bill: ${TASK_OF_ANOTHER_COPY}, helper() {}, limit: 3 }`;
  install('acme', { main: 'main.js' }, 'main.js', `module.exports = ${exported};`);
  const { tasks } = await loadTasks(['acme'], project);
  expect([...tasks.keys()]).toContain('bill');
  await expect(loadTasks(['acme:helper'], project)).rejects.toThrow(TaskModuleError);
  expect([...(await loadTasks(['acme:bill'], project)).tasks.keys()]).toContain('bill');
});

test.each([
  ['an ES module', 'main.mjs', 'export const a = 1;\nexport const b = ;\n', /main\.mjs:2\)$/],
  ['a CommonJS module', 'main.cjs', 'const a = 1;\n\nconst b = ;\n', /main\.cjs:3\)$/],
])('a syntax error in %s is reported with file and line', async (_, file, source, where) => {
  install('broken', { exports: `./${file}` }, file, source);
  const error = await loadTasks(['broken'], project).catch((thrown: unknown) => thrown);
  expect((error as Error).message).toMatch(/failed to load: SyntaxError: Unexpected token ';' \(/);
  expect((error as Error).message).toMatch(where);
});

test('a syntax error in an imported module is reported with its own file, and nothing of the modules runs again', async () => {
  const folder = join(project, 'node_modules/split');
  install(
    'split',
    { type: 'module', exports: './main.js' },
    'main.js',
    "import './lib/parts.js';\nthrow new Error('ran');\n",
  );
  mkdirSync(join(folder, 'lib'));
  writeFileSync(join(folder, 'lib/parts.js'), '\n\nexport const a = 1 +;\n');
  const error = await loadTasks(['split'], project).catch((thrown: unknown) => thrown);
  expect((error as Error).message).toMatch(/SyntaxError: .* \(.*lib\/parts\.js:3\)$/);
});
