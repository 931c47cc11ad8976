/** The package for those who require it: the ES modules in Node, and a build of its own for loaders that cannot require them. */
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
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

describeOnRedis('the build for loaders that cannot require ES modules', (url) => {
  test.each([0, 1])('runs a module of tasks with %i threads', { timeout: 60_000 }, async (threads) => {
    const folder = mkdtempSync(join(tmpdir(), 'required-'));
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(PACKAGE, join(folder, 'node_modules/docket'));
    writeFileSync(
      join(folder, 'tasks.cjs'),
      `const { task } = require('docket'); exports.double = task('double', ({ n }) => n * 2);`,
    );
    const ended = await runModule(
      `
        ${PREPARE}
        const { Docket, TimeoutError } = require('docket');
        const { Worker } = require('docket/worker');
        const docket = new Docket({ url: ${JSON.stringify(url())}, name: 'required-${threads}' });
        const execution = await docket.add('double', { n: 21 });
        await execution.result({ timeout: 1 }).catch((error) => console.log(error instanceof TimeoutError));
        await new Worker(docket, { tasks: process.cwd() + '/tasks.cjs', threads: ${threads}, metricsPort: 0 }).runUntilFinished();
        console.log(await execution.result());
        await docket.close();
      `,
      WITHOUT_ES_MODULES,
      folder,
    );
    expect(ended).toMatchObject({ code: 0, stdout: 'true\n42\n', stderr: '' });
  });
});
