/** `docket init`: what it writes works as it is, and it harms nothing that is there. */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { installInto } from '../support/installed.js';
import { runDocket } from '../support/shell.js';

const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));
const run = promisify(execFile);

/** An empty folder with a name that is one for npm, too. */
function emptyFolder(files: Readonly<Record<string, string>> = {}): string {
  const folder = join(realpathSync(mkdtempSync(join(tmpdir(), 'init-'))), 'project');
  mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

/** Does what the package manager would: puts docket and what was added to the project into it. */
function install(folder: string): void {
  installInto(folder);
  mkdirSync(join(folder, 'node_modules', '@types'));
  for (const name of ['js-redis-server', 'typescript', '@types/node', '.bin']) {
    symlinkSync(join(MODULES, name), join(folder, 'node_modules', name));
  }
}

function manifestOf(folder: string) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}

describe.each([
  { language: 'typescript', modules: 'module', home: 'src/docket' },
  { language: 'typescript', modules: 'commonjs', home: 'src/docket' },
  { language: 'javascript', modules: 'module', home: 'docket' },
  { language: 'javascript', modules: 'commonjs', home: 'docket' },
])('in a project of $language with $modules,', ({ language, modules, home }) => {
  test('the scripts that init adds run the task and its test without Redis', { timeout: 120_000 }, async () => {
    const folder = emptyFolder({ 'package.json': `{ "name": "mine", "type": "${modules}" }` });
    const { code, output, errors } = await runDocket(['init', folder, `--${language}`, '--json']);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    const written = JSON.parse(output);
    expect(written).toMatchObject({ folder, language, modules });
    expect(written.files).toContain(`${home}/compose.yaml`);
    expect(written.next).toEqual([`cd ${folder} && npm install`, 'npm run docket:try']);
    install(folder);
    const tried = await run('npm', ['run', '--silent', 'docket:try'], { cwd: folder });
    expect(tried.stdout).toMatch(/^[0-9a-f]{64}\n$/);
    expect(tried.stderr).toBe('');
    const tested = await run('npm', ['run', '--silent', 'docket:test'], { cwd: folder });
    expect(tested.stdout).toMatch(/pass 1\b/);
  });
});

test('an empty folder gets a TypeScript project of ES modules, named like the folder', async () => {
  const folder = emptyFolder();
  const { code, output } = await runDocket(['init', folder]);
  expect(code).toBe(0);
  expect(output).toContain('npm run docket:try');
  expect(manifestOf(folder)).toMatchObject({ name: 'project', private: true, type: 'module' });
  expect(readdirSync(folder).sort()).toEqual(['.gitignore', 'package.json', 'src']);
});

test('a package.json keeps what it has, and its indentation', async () => {
  const before = {
    name: 'mine',
    scripts: { build: 'make', 'docket:try': 'mine' },
    dependencies: { docket: 'file:x.tgz' },
  };
  const folder = emptyFolder({ 'package.json': JSON.stringify(before, null, 4), '.gitignore': 'mine\n' });
  expect((await runDocket(['init', folder])).code).toBe(0);
  const after = manifestOf(folder);
  expect(after).toMatchObject(before);
  expect(after.scripts['docket:worker']).toBe('docket-worker --tasks docket/tasks.js');
  expect(readFileSync(join(folder, 'package.json'), 'utf8')).toMatch(/^\{\n {4}"name"/);
  expect(readFileSync(join(folder, '.gitignore'), 'utf8')).toBe('mine\n');
});

test('a package.json keeps its line ends, its tabs and its byte order mark', async () => {
  const folder = emptyFolder({ 'package.json': '\uFEFF{\r\n\t"name": "mine"\r\n}\r\n' });
  expect((await runDocket(['init', folder])).code).toBe(0);
  const text = readFileSync(join(folder, 'package.json'), 'utf8');
  expect(text).toMatch(/^\uFEFF\{\r\n\t"name": "mine",\r\n\t"scripts": \{\r\n\t\t"docket:try": /);
  expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
});

test.each(['My Project', 'MyApp', ''])('a project that is named %j already keeps its name', async (name) => {
  const folder = emptyFolder({ 'package.json': JSON.stringify({ name, private: true }) });
  expect((await runDocket(['init', folder])).code).toBe(0);
  expect(manifestOf(folder)).toMatchObject({ name, scripts: { 'docket:try': 'node docket/try.js' } });
});

test.each([
  ['a lock file', 'pnpm-lock.yaml', '', 'pnpm'],
  ['the field packageManager', 'package.json', '{"name":"mine","packageManager":"yarn@4.9.0+sha512.0"}', 'yarn'],
])('%s says which package manager the next commands use', async (_what, file, text, manager) => {
  const folder = emptyFolder({ [file]: text });
  expect((await runDocket(['init', folder])).output).toContain(
    `cd ${folder} && ${manager} install\n  ${manager} run docket:try\n`,
  );
});

test('a part of a workspace is installed by the package manager of the workspace', async () => {
  const workspace = emptyFolder({ 'package.json': '{"workspaces":["packages/*"]}', 'yarn.lock': '' });
  const folder = join(workspace, 'packages/mine');
  expect((await runDocket(['init', folder])).output).toContain('yarn run docket:try');
  const stranger = emptyFolder({ 'package.json': '{}', 'yarn.lock': '' });
  expect((await runDocket(['init', join(stranger, 'mine')])).output).toContain('npm run docket:try');
});

test("another test runner of the project does not take the test, which is for Node's, for one of its own", {
  timeout: 120_000,
}, async () => {
  const folder = emptyFolder({ 'package.json': '{"name":"mine","type":"module"}' });
  expect((await runDocket(['init', folder])).code).toBe(0);
  install(folder);
  const vitest = [join(MODULES, 'vitest/vitest.mjs'), 'run', '--passWithNoTests', '--root', folder];
  const { stdout } = await run(process.execPath, vitest, { cwd: folder, env: { ...process.env, NO_COLOR: '1' } });
  expect(stdout).toContain('No test files found');
});

test('a file that is there is overwritten with --force only, and without it nothing is written', async () => {
  const folder = emptyFolder({ 'package.json': '{"name":"mine"}' });
  mkdirSync(join(folder, 'docket'));
  writeFileSync(join(folder, 'docket', 'try.js'), 'mine');
  const refused = await runDocket(['init', folder]);
  expect(refused).toMatchObject({
    code: 1,
    output: '',
    errors: 'docket: nothing was written: --force overwrites docket/try.js\n',
  });
  expect(readdirSync(join(folder, 'docket'))).toEqual(['try.js']);
  expect(manifestOf(folder)).toEqual({ name: 'mine' });
  expect((await runDocket(['init', folder, '--force'])).code).toBe(0);
  expect(readFileSync(join(folder, 'docket', 'try.js'), 'utf8')).toContain('memory://');
});

test('links never lead init out of the project', async () => {
  const outside = emptyFolder({ 'try.js': 'mine' });
  const folder = emptyFolder({ 'package.json': '{"name":"mine"}' });
  symlinkSync(outside, join(folder, 'docket'));
  const { code, errors } = await runDocket(['init', folder, '--force']);
  expect(code).toBe(1);
  expect(errors).toContain('docket/tasks.js would be outside the project');
  expect(readdirSync(outside)).toEqual(['try.js']);

  const other = emptyFolder({ 'package.json': '{"name":"mine"}' });
  mkdirSync(join(other, 'docket'));
  symlinkSync(join(outside, 'try.js'), join(other, 'docket', 'try.js'));
  expect((await runDocket(['init', other, '--force'])).code).toBe(0);
  expect(readFileSync(join(outside, 'try.js'), 'utf8')).toBe('mine');
});

test.each(['there', 'nowhere'])(
  'a package.json that is a link to a file %s outside the project is left alone',
  async (name) => {
    const outside = emptyFolder({ there: '{"name":"mine"}' });
    const folder = emptyFolder();
    symlinkSync(join(outside, name), join(folder, 'package.json'));
    const { code, errors } = await runDocket(['init', folder]);
    expect(code).toBe(1);
    expect(errors).toMatch(/^docket: [^\n]+\n$/);
    expect(readdirSync(folder)).toEqual(['package.json']);
    expect(readdirSync(outside)).toEqual(['there']);
    expect(readFileSync(join(outside, 'there'), 'utf8')).toBe('{"name":"mine"}');
  },
);

test('a folder in the place of a file is left alone, also with --force, and nothing is written', async () => {
  const folder = emptyFolder({ 'package.json': '{"name":"mine"}' });
  mkdirSync(join(folder, 'docket/tasks-test.js'), { recursive: true });
  const { code, errors } = await runDocket(['init', folder, '--force']);
  expect({ code, errors }).toEqual({
    code: 1,
    errors: 'docket: nothing was written: docket/tasks-test.js is a folder\n',
  });
  expect(readdirSync(join(folder, 'docket'))).toEqual(['tasks-test.js']);
});

test('the printed commands quote the folder for the shell', async () => {
  const folder = join(emptyFolder(), "it's $(touch hacked)");
  const { output } = await runDocket(['init', folder, '--name', 'mine']);
  const [, printed] = /^ {2}(cd .*) && npm install$/m.exec(output)!;
  expect((await run('sh', ['-c', `${printed} && pwd -P`])).stdout).toBe(`${folder}\n`);
  expect(existsSync(join(folder, 'hacked'))).toBe(false);
});

test.each([
  ['{', [], /package\.json is not JSON/],
  ['[]', [], /package\.json holds no object/],
  ['{"name":"mine","scripts":[]}', [], /'scripts' in package\.json is no object/],
  ['{"name":"docket"}', [], /"docket", is that of this package/],
  [null, ['--name', '../up'], /--name, "\.\.\/up", is not a name that npm accepts/],
  [null, ['--typescript', '--javascript'], /cannot be used with/],
])('with package.json %s and %j, one line says what is wrong, and nothing is written', async (text, flags, problem) => {
  const folder = emptyFolder(text === null ? {} : { 'package.json': text });
  const { code, output, errors } = await runDocket(['init', folder, ...flags]);
  expect(code).toBeGreaterThan(0);
  expect(output).toBe('');
  expect(errors).toMatch(/^docket: [^\n]+\n$/);
  expect(errors).toMatch(problem);
  expect(readdirSync(folder)).toEqual(text === null ? [] : ['package.json']);
});

test('where a file has the name of a folder that is to be made, nothing is written', async () => {
  const folder = emptyFolder({ src: '' });
  const { code, output, errors } = await runDocket(['init', folder]);
  expect([code, output]).toEqual([1, '']);
  expect(errors).toMatch(/^docket: \S+ cannot be written to \(ENOTDIR[^\n]+\n$/);
  expect(readdirSync(folder)).toEqual(['src']);
});

test.each(['file', 'file/below'])('%s, which is no folder, is refused with one line', async (path) => {
  const folder = join(emptyFolder({ file: '' }), path);
  expect(await runDocket(['init', folder])).toEqual({
    code: 1,
    output: '',
    errors: `docket: ${folder} is not a folder\n`,
  });
});

test('a folder that cannot be made is refused with one line', async () => {
  const { code, errors } = await runDocket(['init', '/proc/none/project']);
  expect(code).toBe(1);
  expect(errors).toMatch(/^docket: \/proc\/none\/project cannot be written to \([^\n]+\)\n$/);
});

test('a file where a folder of init would be is refused with one line', async () => {
  const folder = emptyFolder({ 'package.json': '{"name":"mine"}', docket: 'mine' });
  const { code, errors } = await runDocket(['init', folder, '--force']);
  expect(code).toBe(1);
  expect(errors).toMatch(/^docket: [^\n]+ cannot be written to \(ENOTDIR[^\n]+\n$/);
  expect(readdirSync(folder).sort()).toEqual(['docket', 'package.json']);
});
