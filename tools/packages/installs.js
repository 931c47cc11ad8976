/** Installs docket with each package manager on each Node, with strict engines, and runs it as ES module and as CommonJS. */
import { commandOf, installManagers } from './managers.js';
import { nodes } from './nodes.js';
import { expectOutput, manifest, project, run, succeed } from './project.js';

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

/** Makes the cases of the package managers. */
export async function installCases(tarball, redis) {
  const tools = await installManagers();
  const cases = [];
  for (const [major, node] of await nodes()) {
    for (const manager of MANAGERS) {
      cases.push([`${manager}, Node ${major}`, () => installAndRun({ manager, major, node, tools, tarball, redis })]);
    }
  }
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
