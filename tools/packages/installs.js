/** Installs docket with each package manager on each Node, with strict engines, and runs it as ES module and as CommonJS. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expectOutput, manifest, project, readmeFiles, run, start, succeed } from './project.js';

const MANAGERS = ['npm', 'pnpm', 'yarn 1', 'yarn 4', 'yarn 4 pnp'];
/** Yarn warns of each project with an ES module in it that its own support for them is experimental. */
const PNP_SUMMARY = /Done with warnings in [\w ]+$/;
const TASKS = `import { task } from 'docket'; export const double = task('double', async ({ n }) => n * 2);`;
/** Runs a task on a thread. The first line imports what it needs, in the way of its kind of module. */
const BODY = `
async function main() {
  const docket = new Docket({ name: process.argv[2] });
  const execution = await docket.add(double, { n: 21 });
  const worker = new Worker(docket, { tasks: process.cwd() + '/tasks.mjs', threads: 1, metricsPort: 0 });
  await worker.runUntilFinished();
  console.log(await execution.result());
  await docket.close();
}
main();`;
const ESM = `import { Docket } from 'docket'; import { Worker } from 'docket/worker'; import { double } from './tasks.mjs';${BODY}`;
const CJS = `const { Docket } = require('docket'); const { Worker } = require('docket/worker'); const { double } = require('./tasks.mjs');${BODY}`;

/** The executables of Node by major version: the one that runs this, and the others from the package `node`. */
async function nodes() {
  const found = [];
  for (const major of [20, 22, 24, 26]) {
    if (process.versions.node.startsWith(`${major}.`)) found.push([major, process.execPath]);
    else found.push([major, await nodeOf(major)]);
  }
  return found;
}

async function nodeOf(major) {
  const executable = (folder) => join(folder, 'node_modules/node/bin/node');
  const given = process.env[`NODE_${major}`];
  if (given && existsSync(given)) return given;
  const folder = project({ 'package.json': manifest({ node: `^${major}.0.0` }) });
  await succeed('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder });
  return executable(folder);
}

/** Makes the cases of the package managers. */
export async function installCases(tarball, redis) {
  const tools = project({
    'package.json': manifest({ pnpm: 'latest', yarn: '1.22.22', '@yarnpkg/cli-dist': '^4.0.0' }),
  });
  await succeed('npm', ['install', '--no-audit', '--no-fund'], { cwd: tools });
  const cases = [];
  for (const [major, node] of await nodes()) {
    for (const manager of MANAGERS) {
      cases.push([`${manager}, Node ${major}`, () => installAndRun({ manager, major, node, tools, tarball, redis })]);
    }
  }
  cases.push(['quick start of the README', () => quickStart(tarball, redis)]);
  return cases;
}

async function installAndRun({ manager, major, node, tools, tarball, redis }) {
  const isPnp = manager === 'yarn 4 pnp';
  const folder = project({
    'package.json': manifest({ docket: `file:${tarball}` }),
    '.npmrc': 'engine-strict=true\nfund=false\naudit=false\n',
    ...(manager.startsWith('yarn 4') && {
      '.yarnrc.yml': `nodeLinker: ${isPnp ? 'pnp' : 'node-modules'}\nenableTelemetry: false\nenableImmutableInstalls: false\n`,
      'yarn.lock': '',
    }),
    'tasks.mjs': TASKS,
    'esm.mjs': ESM,
    'cjs.cjs': CJS,
  });
  const options = { cwd: folder, node, env: { DOCKET_URL: redis, npm_config_update_notifier: 'false' } };
  const [file, ...args] = commandOf(manager, node, tools);
  const { output, errors } = await succeed(file, [...args, 'install'], options);
  const complaints = `${output}\n${errors}`
    .split('\n')
    .filter((line) => /\bwarn|\berror|deprecat|YN00(?:02|05|60|86)/i.test(line))
    .filter((line) => !(isPnp && PNP_SUMMARY.test(line)));
  if (complaints.length > 0) throw new Error(complaints.join('\n'));
  // On Node 20, the loader of Yarn's Plug'n'Play cannot require ES modules from its archives.
  const programs = isPnp && major === 20 ? ['esm.mjs'] : ['esm.mjs', 'cjs.cjs'];
  for (const program of programs) {
    const launch = isPnp ? [file, [...args, 'node', program, program]] : [node, [program, program]];
    expectOutput(await run(...launch, options), '42\n');
  }
  return `installs without a warning, runs ${programs.join(' and ')}`;
}

function commandOf(manager, node, tools) {
  const modules = join(tools, 'node_modules');
  switch (manager) {
    case 'npm':
      return ['npm'];
    case 'pnpm':
      return [join(modules, '.bin/pnpm')];
    case 'yarn 1':
      return [node, join(modules, 'yarn/bin/yarn.js')];
    default:
      return [node, join(modules, '@yarnpkg/cli-dist/bin/yarn.js')];
  }
}

/** Does what the README says, with the Redis of this run in place of the one on the usual port. */
async function quickStart(tarball, redis) {
  const files = readmeFiles();
  if (!files['tasks.js'] || !files['add.js']) throw new Error('the README has no blocks for tasks.js and add.js');
  const here = (code) => code.replaceAll('redis://localhost:6379', redis);
  const folder = project({ 'tasks.js': files['tasks.js'], 'add.js': here(files['add.js']) });
  await succeed('npm', ['init', '-y'], { cwd: folder });
  await succeed('npm', ['pkg', 'set', 'type=module'], { cwd: folder });
  await succeed('npm', ['install', tarball], { cwd: folder });
  const worker = start(
    join(folder, 'node_modules/.bin/docket-worker'),
    ['--url', redis, '--tasks', './tasks.js', '--metrics-port', '0'],
    { cwd: folder },
  );
  try {
    const { output } = await succeed('node', ['add.js'], { cwd: folder });
    if (!/^[0-9a-f]{64}\n/.test(output)) throw new Error(output);
  } finally {
    worker.kill();
  }
  return 'gives the result';
}
