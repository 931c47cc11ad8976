/** Compiles a program against docket with several versions of TypeScript, and checks all declarations it reads. */
import { join } from 'node:path';
import { manifest, project, run, succeed } from './project.js';

const PROGRAM = `
import { call, collection, Docket, type Execution, exponentialRetry, task } from 'docket';
import { dashboard } from 'docket/dashboard';
import { openTestDocket, runTask } from 'docket/testing';
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
export { dashboard, openTestDocket, runTask };
`;

/** What the compiler is told about modules, and whether the program is one in CommonJS. */
const RESOLUTIONS = {
  node16: { module: 'node16', moduleResolution: 'node16' },
  'node16, CommonJS': { module: 'node16', moduleResolution: 'node16', isRequired: true },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  'nodenext, CommonJS': { module: 'nodenext', moduleResolution: 'nodenext', isRequired: true },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
  node10: { module: 'commonjs', moduleResolution: 'node10' },
};

/** Makes the cases of TypeScript. */
export function typeCases(tarball) {
  return ['5.6', '5.9', '6', '7'].map((version) => [`TypeScript ${version}`, () => compile(tarball, version)]);
}

async function compile(tarball, version) {
  const dependencies = {
    docket: `file:${tarball}`,
    typescript: version.includes('.') ? `~${version}.0` : `^${version}.0.0`,
    '@types/node': '^20',
  };
  // TypeScript 6 warns of node10, and 7 does not have it any more.
  const names = Object.keys(RESOLUTIONS).filter((name) => name !== 'node10' || version !== '7');
  const folder = project({
    'package.json': manifest(dependencies),
    'main.ts': PROGRAM,
    'required.cts': PROGRAM,
    ...Object.fromEntries(names.map((name) => [configFile(name), configOf(name, version)])),
  });
  await succeed('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder });
  const problems = [];
  for (const name of names) {
    const args = [join(folder, 'node_modules/typescript/bin/tsc'), '-p', configFile(name)];
    const { code, output, errors } = await run(process.execPath, args, { cwd: folder });
    if (code !== 0) problems.push(`${name}:\n${output}${errors}`);
  }
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return names.join('; ');
}

function configFile(name) {
  return `tsconfig.${name.replace(/\W+/g, '-')}.json`;
}

function configOf(name, version) {
  const { isRequired = false, ...options } = RESOLUTIONS[name];
  const silenced = name === 'node10' && version === '6' ? { ignoreDeprecations: '6.0' } : {};
  return {
    compilerOptions: {
      target: 'es2022',
      strict: true,
      skipLibCheck: false,
      noEmit: true,
      types: ['node'],
      ...options,
      ...silenced,
    },
    files: [isRequired ? 'required.cts' : 'main.ts'],
  };
}
