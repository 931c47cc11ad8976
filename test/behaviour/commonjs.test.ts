/** The package for those who require it: the ES modules in Node, and a build of its own for loaders that cannot require them. */
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { builtUrl } from '../support/built.js';
import { runModule } from '../support/child.js';
import { describeOnRedis } from '../support/suites.js';

/** Makes Node load packages as Jest does: `require` loads no ES modules, and knows no condition for them. */
const WITHOUT_ES_MODULES = { NODE_OPTIONS: '--no-experimental-require-module' };

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));
const ENTRIES = ['docket', 'docket/worker', 'docket/dashboard', 'docket/testing'];

const PREPARE = `
  import { createRequire } from 'node:module';
  const require = createRequire(process.cwd() + '/main.js');
`;

test('in Node, require gives the very modules that import gives, so that a process has one copy', async () => {
  const { stdout, stderr } = await runModule(`
    ${PREPARE}
    for (const entry of ${JSON.stringify(ENTRIES)}) {
      const imported = await import(entry);
      const required = require(entry);
      console.log(entry, Object.keys(imported).every((name) => imported[name] === required[name]));
    }
  `);
  expect(stdout).toBe(ENTRIES.map((entry) => `${entry} true\n`).join(''));
  expect(stderr.replace(/^.*ExperimentalWarning: CommonJS module.*\n.*\n.*\n/m, '')).toBe('');
});

test('the build for loaders that cannot require ES modules exports the same, and loads nothing of the ES modules', async () => {
  const { stdout, stderr } = await runModule(
    `
      ${PREPARE}
      for (const entry of ${JSON.stringify(ENTRIES)}) {
        const names = Object.keys(require(entry)).sort().join();
        console.log(entry, names === Object.keys(await import(entry)).sort().join());
      }
      console.log(Object.keys(require.cache).filter((path) => path.includes('dist/src')).length);
    `,
    WITHOUT_ES_MODULES,
  );
  expect({ stdout, stderr }).toEqual({
    stdout: `${ENTRIES.map((entry) => `${entry} true\n`).join('')}0\n`,
    stderr: '',
  });
});

test('a worker of one build refuses a docket of the other, and names what it needs', async () => {
  const { stdout } = await runModule(
    `
      ${PREPARE}
      const { Docket } = require('docket');
      const { Worker } = await import('docket/worker');
      try {
        new Worker(new Docket(), { tasks: {}, threads: 0 });
      } catch (error) {
        console.log(error.code, error.message);
      }
    `,
    WITHOUT_ES_MODULES,
  );
  expect(stdout).toMatch(/^DOCKET_INVALID_OPTION docket: expected a Docket of this copy of the package/);
});

const stripsTypes = Boolean((process.features as { typescript?: unknown }).typescript);

test.runIf(stripsTypes)('tasks in TypeScript may be CommonJS and require ES modules that import others', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'typed-'));
  writeFileSync(join(folder, 'name.mjs'), `export const name = 'deep';`);
  writeFileSync(join(folder, 'names.mjs'), `export * from './name.mjs';`);
  const tasks = `const names: { name: string } = require('./names.mjs');
    exports.deep = { name: names.name, [Symbol.for('docket.task')]: { name: names.name, policies: {}, run() {} } };`;
  writeFileSync(join(folder, 'tasks.cts'), tasks);
  const { stdout } = await runModule(
    `const { loadTasks } = await import(${JSON.stringify(builtUrl('tasks/loader.js'))});
    console.log((await loadTasks(['./tasks.cts'])).tasks.has('deep'));`,
    {},
    folder,
  );
  expect(stdout).toBe('true\n');
});

describeOnRedis('the build for loaders that cannot require ES modules', (url) => {
  test.each([
    { threads: 0, file: 'tasks.cjs' },
    { threads: 1, file: 'tasks.cjs' },
    { threads: 0, file: 'tasks.mjs' },
    { threads: 1, file: 'tasks.mjs' },
  ])('runs a module of tasks ($file) with $threads threads', { timeout: 60_000 }, async ({ threads, file }) => {
    const folder = mkdtempSync(join(tmpdir(), 'required-'));
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(PACKAGE, join(folder, 'node_modules/docket'));
    writeFileSync(
      join(folder, 'tasks.cjs'),
      `const { task } = require('docket'); exports.double = task('double', ({ n }) => n * 2);`,
    );
    writeFileSync(
      join(folder, 'tasks.mjs'),
      `import { task } from 'docket'; export const double = task('double', ({ n }) => n * 2);`,
    );
    const name = `required-${threads}-${file}`;
    const ended = await runModule(
      `
        ${PREPARE}
        const { Docket, TimeoutError } = require('docket');
        const { Worker } = require('docket/worker');
        const docket = new Docket({ url: ${JSON.stringify(url())}, name: ${JSON.stringify(name)} });
        const execution = await docket.add('double', { n: 21 });
        await execution.result({ timeout: 1 }).catch((error) => console.log(error instanceof TimeoutError));
        await new Worker(docket, { tasks: process.cwd() + '/${file}', threads: ${threads}, metricsPort: 0 }).runUntilFinished();
        console.log(await execution.result());
        await docket.close();
      `,
      WITHOUT_ES_MODULES,
      folder,
    );
    expect(ended).toMatchObject({ code: 0, stdout: 'true\n42\n', stderr: '' });
  });
});
