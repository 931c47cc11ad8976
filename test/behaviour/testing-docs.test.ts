/** The examples of docs/testing.md, run as a user would run them: the package installed beside them, and `node --test`. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { installInto } from '../support/installed.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** A block that begins with the name of its file. */
const FILE = /^```js\n\/\/ (\S+)\n(.*?)^```$/gms;

test('the examples of the document about testing pass', { timeout: 120_000 }, async () => {
  const text = await readFile(join(ROOT, 'docs/testing.md'), 'utf8');
  const files = [...text.matchAll(FILE)].map(([, name, code]) => ({ name: name!, code: code! }));
  expect(files.map(({ name }) => name)).toEqual([
    'tasks.js',
    'orders.js',
    'tasks.test.js',
    'orders.test.js',
    'flow.test.js',
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'docket-docs-'));
  try {
    installInto(folder);
    await symlink(join(ROOT, 'node_modules/js-redis-server'), join(folder, 'node_modules/js-redis-server'));
    await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module', private: true }));
    await Promise.all(files.map(({ name, code }) => writeFile(join(folder, name), code)));
    const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
    const { stdout } = await promisify(execFile)(process.execPath, ['--test', '--test-reporter', 'tap'], {
      cwd: folder,
      env,
    });
    expect(stdout).toMatch(/^# pass 7$/m);
    expect(stdout).toMatch(/^# fail 0$/m);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
