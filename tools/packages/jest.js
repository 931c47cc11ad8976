/**
 * Tests with docket in Jest, which has module loaders of its own: CommonJS as it is by default, on each Node;
 * TypeScript by ts-jest; and ES modules with the flag that Jest asks for.
 */
import { join } from 'node:path';
import { nodes } from './nodes.js';
import { manifest, project, run, succeed } from './project.js';

const TASKS = `
const { task } = require('docket');
exports.double = task('double', ({ n }) => n * 2);
`;

/** What each kind of test file has after its imports. */
const TESTS = `
test('a body alone', async () => {
  expect((await runTask(double, { n: 21 })).result).toBe(42);
});
test('what is added', async () => {
  const docket = recordingDocket();
  await docket.add(double, { n: 1 });
  assertTaskAdded(docket, double, { args: { n: 1 } });
});
test('a test docket', async () => {
  const kit = await openTestDocket({ tasks: { double } });
  const execution = await kit.docket.add(double, { n: 21 }, { when: '1h' });
  await kit.advance('1h');
  expect(await execution.result()).toBe(42);
  await kit.close();
}, 60_000); // the first one loads the worker, which takes seconds on a busy machine
`;

const REQUIRED = `
const { join } = require('node:path');
const { Docket, TimeoutError } = require('docket');
const { dashboard } = require('docket/dashboard');
const { assertTaskAdded, openTestDocket, recordingDocket, runTask } = require('docket/testing');
const { Worker } = require('docket/worker');
const { double } = require('./tasks.js');
${TESTS}
test.each([0, 1])('a worker with %i threads that load a module', async (threads) => {
  const docket = new Docket({ name: 'jest-' + process.version + '-' + threads });
  const execution = await docket.add(double, { n: 21 });
  await expect(execution.result({ timeout: 1 })).rejects.toThrow(TimeoutError);
  await new Worker(docket, { tasks: join(__dirname, 'tasks.js'), threads, metricsPort: 0 }).runUntilFinished();
  expect(await execution.result()).toBe(42);
  await docket.close();
}, 60_000);
test('a test docket under fake timers', async () => {
  jest.useFakeTimers();
  await expect(openTestDocket()).rejects.toThrow('timers');
  jest.useRealTimers();
}, 60_000);
test('the dashboard', async () => {
  const docket = new Docket();
  const page = await dashboard(docket)(new Request('http://localhost/'));
  expect(page.status).toBe(200);
  await docket.close();
});
`;

const IMPORTED = `
import { task } from 'docket';
import { assertTaskAdded, openTestDocket, recordingDocket, runTask } from 'docket/testing';
`;
const TYPED = `${IMPORTED}const double = task('double', ({ n }: { n: number }) => n * 2);${TESTS}`;
const UNTYPED = `${IMPORTED}const double = task('double', ({ n }) => n * 2);${TESTS}`;

/** Makes the cases of Jest. They share one installation. */
export async function jestCases(tarball, redis) {
  const folder = project({
    'package.json': {
      ...manifest({
        docket: `file:${tarball}`,
        jest: 'latest',
        'js-redis-server': '^0.3.0',
        'ts-jest': 'latest',
        typescript: '^5.9.0',
        '@types/jest': 'latest',
        '@types/node': '^20',
      }),
      type: 'commonjs',
    },
    'tsconfig.json': {
      compilerOptions: {
        target: 'es2022',
        module: 'commonjs',
        strict: true,
        types: ['jest', 'node'],
        skipLibCheck: false,
      },
    },
    'tasks.js': TASKS,
    'required.test.js': REQUIRED,
    'typed.test.ts': TYPED,
    'imported.test.mjs': UNTYPED,
  });
  await succeed('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder });
  const jest = (args, { node, flags = '' }) =>
    runJest(folder, args, { node, env: { DOCKET_URL: redis, NODE_OPTIONS: flags } });
  const modules = { flags: '--experimental-vm-modules' };
  return [
    ...(await nodes()).map(([major, node]) => [`Jest, require, Node ${major}`, () => jest(['required'], { node })]),
    ['Jest, require, with the flag for ES modules', () => jest(['required'], modules)],
    ['Jest, import, with the flag for ES modules', () => jest(['imported', '--testMatch', '**/*.mjs'], modules)],
    ['Jest, ts-jest to CommonJS', () => jest(['typed', '--preset', 'ts-jest'], {})],
  ];
}

async function runJest(folder, args, options) {
  const program = join(folder, 'node_modules/jest/bin/jest.js');
  const { code, errors } = await run(options.node ?? process.execPath, [program, ...args], { cwd: folder, ...options });
  const [, passed] = /^Tests: +(\d+) passed, \1 total$/m.exec(errors) ?? [];
  if (code !== 0 || passed === undefined) throw new Error(errors);
  return `${passed} tests pass`;
}
