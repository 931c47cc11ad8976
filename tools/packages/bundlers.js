/**
 * Bundles a producer and an embedded worker with each bundler, and runs the bundle away from all packages. The commands and the
 * configurations are those of docs/installing.md.
 */
import { cpSync, mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  AREA,
  blocksOf,
  expectOutput,
  fileOf,
  freePort,
  kill,
  listening,
  manifest,
  project,
  run,
  start,
  succeed,
} from './project.js';

const DOCUMENT = 'docs/installing.md';

const PROGRAM = `
import { Docket, task } from 'docket';
import { Worker } from 'docket/worker';
const double = task('double', ({ n }) => n * 2);
async function main() {
  const docket = new Docket({ name: 'bundled-' + process.argv[2] });
  const execution = await docket.add(double, { n: 21 });
  await new Worker(docket, { tasks: { double }, threads: 0, metricsPort: 0 }).runUntilFinished();
  console.log(await execution.result());
  await docket.close();
}
main();
`;

/** The bundlers: their packages, and the command, or the words by which it is found in the document. */
const BUNDLERS = [
  { name: 'esbuild, CommonJS', packages: { esbuild: 'latest' }, command: /^npx esbuild (?!.*--format)/ },
  { name: 'esbuild, ES module', packages: { esbuild: 'latest' }, command: /^npx esbuild .*--format=esm/ },
  { name: 'ncc', packages: { '@vercel/ncc': 'latest' }, command: /^npx ncc / },
  {
    name: 'webpack',
    packages: { webpack: '^5', 'webpack-cli': 'latest' },
    command: 'npx webpack',
    configuration: 'webpack.config.mjs',
  },
  { name: 'vite', packages: { vite: 'latest' }, command: 'npx vite build', configuration: 'vite.config.mjs' },
  {
    name: 'vite, library',
    packages: { vite: 'latest' },
    command: 'npx vite build --config vite.library.config.mjs',
    configuration: 'vite.library.config.mjs',
    isLibrary: true,
  },
];

/** Makes the cases of the bundlers. */
export function bundlerCases(tarball, redis) {
  return [
    ...BUNDLERS.map((bundler) => [bundler.name, () => bundle(bundler, tarball, redis)]),
    ['Next, Turbopack', () => next({ tarball, redis, route: ADDING })],
    ['Next, webpack', () => next({ tarball, redis, route: ADDING, flags: ['--webpack'] })],
    ['Next, docket outside the bundle', () => next({ tarball, redis, route: RUNNING, isExternal: true })],
  ];
}

async function bundle({ name, packages, command, configuration, isLibrary = false }, tarball, redis) {
  const folder = project({
    'package.json': manifest({ docket: `file:${tarball}`, ...packages }),
    'main.js': PROGRAM,
    ...(configuration && { [configuration]: fileOf(DOCUMENT, configuration) }),
  });
  await succeed('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder });
  const built = await succeed('sh', ['-c', typeof command === 'string' ? command : commandLike(command)], {
    cwd: folder,
  });
  refuseComplaints(built);
  // A library is run in its own folder, where its dependencies are installed.
  const place = isLibrary ? join(folder, 'dist') : mkdtempSync(join(AREA, 'bundled-'));
  if (!isLibrary) cpSync(join(folder, 'dist'), place, { recursive: true });
  const file = readdirSync(place).find((one) => /^(?:main|index|project)\.[cm]?js$/.test(one));
  const args = [file, name.replace(/\W+/g, '-')];
  expectOutput(await run(process.execPath, args, { cwd: place, env: { DOCKET_URL: redis } }), '42\n');
  return 'a producer and an embedded worker';
}

/** The line of the document that begins so. */
function commandLike(pattern) {
  const lines = blocksOf(DOCUMENT).flatMap(({ language, code }) => (language === 'sh' ? code.trim().split('\n') : []));
  const line = lines.find((one) => pattern.test(one));
  if (!line) throw new Error(`${DOCUMENT} has no command like ${pattern}`);
  return line;
}

function refuseComplaints({ output, errors }) {
  const complaints = `${output}\n${errors}`.split('\n').filter((line) => /warn|can't be|could not|error/i.test(line));
  if (complaints.length > 0) throw new Error(complaints.join('\n'));
}

const ADDING = `
import { Docket } from 'docket';
export const dynamic = 'force-dynamic';
export async function GET() {
  const docket = new Docket({ name: 'bundled-next' });
  const { key } = await docket.add('double', { n: 21 }, { key: 'of-a-route' });
  await docket.close();
  return Response.json({ key });
}
`;

/** A worker with threads, and a server in memory: both start threads from files of the package. */
const RUNNING = `
import { Docket } from 'docket';
import { Worker } from 'docket/worker';
export const dynamic = 'force-dynamic';
export async function GET() {
  const docket = new Docket({ name: 'bundled-next', url: 'memory://' });
  const { key } = await docket.add('double', { n: 21 }, { key: 'of-a-route' });
  await new Worker(docket, { tasks: process.cwd() + '/tasks.mjs', threads: 1, metricsPort: 0 }).runUntilFinished();
  const ended = await docket.getExecution(key);
  const result = await ended.result();
  await docket.close();
  return Response.json({ key, result });
}
`;
const TASKS = `import { task } from 'docket'; export const double = task('double', ({ n }) => n * 2);`;

/** Builds and starts a Next application whose route adds work. */
async function next({ tarball, redis, route, isExternal = false, flags = [] }) {
  const packages = { next: 'latest', react: 'latest', 'react-dom': 'latest' };
  const folder = project({
    'package.json': manifest({ docket: `file:${tarball}`, 'js-redis-server': '^0.3.0', ...packages }),
    'app/add/route.js': route,
    'app/layout.js': `export default function Layout({ children }) { return <html><body>{children}</body></html>; }`,
    'app/page.js': `export default function Page() { return 'here'; }`,
    'tasks.mjs': TASKS,
    ...(isExternal && { 'next.config.mjs': fileOf(DOCUMENT, 'next.config.mjs') }),
  });
  const env = { DOCKET_URL: redis, NEXT_TELEMETRY_DISABLED: '1' };
  await succeed('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder });
  const tool = join(folder, 'node_modules/next/dist/bin/next');
  refuseComplaints(await succeed(process.execPath, [tool, 'build', ...flags], { cwd: folder, env }));
  const port = await freePort();
  const server = start(process.execPath, [tool, 'start', '-p', `${port}`], {
    cwd: folder,
    env: { ...process.env, ...env },
  });
  try {
    await listening(port);
    const answer = await fetch(`http://127.0.0.1:${port}/add`);
    const text = await answer.text();
    const expected = isExternal ? { key: 'of-a-route', result: 42 } : { key: 'of-a-route' };
    if (text !== JSON.stringify(expected)) throw new Error(`${answer.status} ${text.slice(0, 2_000)}`);
  } finally {
    kill(server);
  }
  return isExternal ? 'a worker with threads in a route, in memory' : 'a producer in a route';
}
