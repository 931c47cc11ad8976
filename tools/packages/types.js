/** Compiles a program against docket with several versions of TypeScript, and checks all declarations it reads. */
import { join } from 'node:path';
import { manifest, project, run, succeed } from './project.js';

const PROGRAM = `
import { call, collection, Docket, type Execution, exponentialRetry, task } from 'docket';
import { dashboard } from 'docket/dashboard';
import { Worker } from 'docket/worker';

const double = task('double', { retry: exponentialRetry({ attempts: 3 }) }, async ({ n }: { n: number }) => n * 2);
const tasks = collection(double);

export async function main(): Promise<number> {
  const docket = new Docket();
  const execution: Execution<number> = await docket.add(double, { n: 21 });
  await docket.addMany([call(double, { n: 1 })]);
  // @ts-expect-error the task takes a number
  await docket.add(double, { n: 'one' });
  const worker = new Worker(docket, { tasks, threads: 0 });
  await worker.runUntilFinished();
  return execution.result();
}
export { dashboard };
`;

const RESOLUTIONS = {
  node16: { module: 'node16', moduleResolution: 'node16' },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
};

/** Makes the cases of TypeScript. */
export function typeCases(tarball) {
  return ['5.6', '5.9', '6', '7'].map((version) => [`TypeScript ${version}`, () => compile(tarball, version)]);
}

async function compile(tarball, version) {
  const dependencies = {
    docket: `file:${tarball}`,
    typescript: `^${version}.0`.replace(/^\^5\./, '~5.'),
    '@types/node': '^20',
  };
  if (!version.includes('.')) dependencies.typescript = `^${version}.0.0`;
  const configs = Object.entries(RESOLUTIONS).map(([name, options]) => [`tsconfig.${name}.json`, configOf(options)]);
  const folder = project({
    'package.json': manifest(dependencies),
    'main.ts': PROGRAM,
    'required.cts': PROGRAM,
    ...Object.fromEntries(configs),
    // From CommonJS, TypeScript lets ES modules be required since 5.8, with nodenext.
    ...(version !== '5.6' && { 'tsconfig.commonjs.json': configOf(RESOLUTIONS.nodenext, 'required.cts') }),
  });
  await succeed('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder });
  const names = [...Object.keys(RESOLUTIONS), ...(version === '5.6' ? [] : ['commonjs'])];
  const problems = [];
  for (const name of names) {
    const args = [join(folder, 'node_modules/typescript/bin/tsc'), '-p', `tsconfig.${name}.json`];
    const { code, output, errors } = await run(process.execPath, args, { cwd: folder });
    if (code !== 0) problems.push(`${name}:\n${output}${errors}`);
  }
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return names.join(', ');
}

function configOf(options, file = 'main.ts') {
  return {
    compilerOptions: { target: 'es2022', strict: true, skipLibCheck: false, noEmit: true, types: ['node'], ...options },
    files: [file],
  };
}
