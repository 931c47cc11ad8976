/** Bundles a producer and an embedded worker with each bundler, and runs the bundle away from all packages. */
import { cpSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { AREA, expectOutput, freePort, listening, manifest, project, run, start, succeed } from './project.js';

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

const REQUIRE = `import { createRequire as r } from 'node:module'; const require = r(import.meta.url);`;
const WEBPACK = `export default { mode: 'production', target: 'node20', entry: './main.mjs', output: { path: import.meta.dirname + '/out', filename: 'main.cjs' } };`;
const VITE = `export default { logLevel: 'warn', ssr: { noExternal: true }, build: { ssr: 'main.mjs', outDir: 'out', rollupOptions: { output: { entryFileNames: 'main.mjs' } } } };`;

const BUNDLERS = [
  [
    'esbuild, CommonJS',
    { esbuild: 'latest' },
    ['esbuild', 'main.mjs', '--bundle', '--platform=node', '--format=cjs', '--outfile=out/main.cjs'],
  ],
  [
    'esbuild, ES module',
    { esbuild: 'latest' },
    [
      'esbuild',
      'main.mjs',
      '--bundle',
      '--platform=node',
      '--format=esm',
      `--banner:js=${REQUIRE}`,
      '--outfile=out/main.mjs',
    ],
  ],
  [
    'webpack',
    { webpack: '^5', 'webpack-cli': 'latest' },
    ['webpack', '--config', 'webpack.config.mjs'],
    { 'webpack.config.mjs': WEBPACK },
  ],
  ['vite, server side', { vite: 'latest' }, ['vite', 'build'], { 'vite.config.mjs': VITE }],
  ['ncc', { '@vercel/ncc': 'latest' }, ['ncc', 'build', 'main.mjs', '-o', 'out']],
];

/** Makes the cases of the bundlers. */
export function bundlerCases(tarball, redis) {
  return [
    ...BUNDLERS.map(([name, packages, command, files]) => [
      name,
      () => bundle({ packages, command, files, tarball, redis, name: name.replace(/\W+/g, '-') }),
    ]),
    ['Next, server side', () => next(tarball, redis)],
  ];
}

async function bundle({ packages, command, files = {}, tarball, redis, name }) {
  const [tool, ...args] = command;
  const folder = project({
    'package.json': manifest({ docket: `file:${tarball}`, ...packages }),
    'main.mjs': PROGRAM,
    ...files,
  });
  await succeed('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder });
  await succeed(join(folder, 'node_modules/.bin', tool), args, { cwd: folder });
  const away = mkdtempSync(join(AREA, 'bundled-'));
  cpSync(join(folder, 'out'), away, { recursive: true });
  const { output } = await succeed('ls', [away], { cwd: away });
  const file = output.split('\n').find((one) => /^(?:main|index)\.\w+$/.test(one));
  expectOutput(await run(process.execPath, [file, name], { cwd: away, env: { DOCKET_URL: redis } }), '42\n');
  return 'a producer and an embedded worker';
}

const ROUTE = `
import { Docket } from 'docket';
export const dynamic = 'force-dynamic';
export async function GET() {
  const docket = new Docket({ name: 'bundled-next' });
  const execution = await docket.add('double', { n: 21 });
  await docket.close();
  return Response.json({ added: execution.disposition });
}
`;

/** Builds and starts a Next application with a route that adds work. */
async function next(tarball, redis) {
  const folder = project({
    'package.json': manifest({ docket: `file:${tarball}`, next: 'latest', react: 'latest', 'react-dom': 'latest' }),
    'app/add/route.js': ROUTE,
    'app/layout.js': `export default function Layout({ children }) { return <html><body>{children}</body></html>; }`,
    'app/page.js': `export default function Page() { return 'here'; }`,
  });
  const env = { DOCKET_URL: redis, NEXT_TELEMETRY_DISABLED: '1' };
  await succeed('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder });
  const tool = join(folder, 'node_modules/next/dist/bin/next');
  const built = await succeed(process.execPath, [tool, 'build'], { cwd: folder, env });
  const complaints = `${built.output}${built.errors}`
    .split('\n')
    .filter((line) => /docket|ioredis|can't be/i.test(line) && /warn|resol|error/i.test(line));
  if (complaints.length > 0) throw new Error(complaints.join('\n'));
  const port = await freePort();
  const server = start(process.execPath, [tool, 'start', '-p', `${port}`], {
    cwd: folder,
    env: { ...process.env, ...env },
  });
  try {
    await listening(port);
    const answer = await fetch(`http://127.0.0.1:${port}/add`);
    const text = await answer.text();
    if (text !== '{"added":"added"}') throw new Error(`${answer.status} ${text.slice(0, 2_000)}`);
  } finally {
    server.kill();
  }
  return 'a producer in a route';
}
