/** The quick starts of the documents, followed to the letter in an empty folder, with the package as it is published. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { type Block, blocksOf } from '../support/documents.js';
import { installInto } from '../support/installed.js';
import { describeOnRedis } from '../support/suites.js';

const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));
/** What the documents run by `npx`, as files of the packages. */
const EXECUTABLES: Record<string, string> = {
  'npx docket-worker': 'node node_modules/docket/bin/docket-worker.js',
  'npx tsc': 'node node_modules/typescript/bin/tsc',
};
/** The hash that the last command prints. */
const DIGEST = /^[0-9a-f]{64}\n/;

describeOnRedis('a quick start:', (url) => {
  test('that of the README gives a result in plain JavaScript', { timeout: 120_000 }, async () => {
    const folder = folderWith(named(blocksOf('README.md')), url());
    const [commands] = blocksOf('README.md').filter(({ code }) => code.includes('npx docket-worker'));
    expect(await follow(commands!, folder, url())).toMatch(DIGEST);
  });

  test('the worker of the README runs what is added, and stops on SIGTERM', { timeout: 120_000 }, async () => {
    const folder = folderWith(named(blocksOf('README.md')), url());
    const worker = start('exec node worker.js', folder, url());
    const { output } = await run('node add.js', folder, url());
    expect(output).toMatch(DIGEST);
    worker.kill('SIGTERM');
    expect(await once(worker, 'close')).toEqual([0, null]);
  });

  test('that for CommonJS gives a result', { timeout: 120_000 }, async () => {
    const blocks = blocksOf('docs/getting-started.md');
    const folder = folderWith(named(blocks), url());
    const [commands] = blocks.filter(({ code }) => code.includes('node add.cjs'));
    expect(await follow(commands!, folder, url())).toMatch(DIGEST);
  });

  test('that of the first steps compiles and gives a result in TypeScript', { timeout: 180_000 }, async () => {
    const blocks = blocksOf('docs/getting-started.md');
    const folder = folderWith(named(blocks), url());
    writeFileSync(join(folder, 'tsconfig.json'), blocks.find(({ language }) => language === 'json')!.code);
    await mkdir(join(folder, 'node_modules/@types'));
    for (const name of ['typescript', '@types/node'])
      symlinkSync(join(MODULES, name), join(folder, 'node_modules', name));
    const [commands] = blocks.filter(({ code }) => code.startsWith('npx tsc'));
    expect(await follow(commands!, folder, url())).toMatch(DIGEST);
  });
});

function named(blocks: readonly Block[]): Block[] {
  return blocks.filter(({ file }) => file !== null);
}

/** A project with docket and these files. The server of the documents is the one of the test. */
function folderWith(blocks: readonly Block[], url: string): string {
  expect(blocks.length).toBeGreaterThan(2);
  const folder = mkdtempSync(join(tmpdir(), 'quick-start-'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  installInto(folder);
  for (const { file, code } of blocks) writeFileSync(join(folder, file!), onServer(code, url));
  return folder;
}

function onServer(text: string, url: string): string {
  return text.replaceAll('redis://localhost:6379', url);
}

/** Runs the commands of a block one after the other, those with `&` beside them, and returns what the last one printed. */
async function follow({ code }: Block, folder: string, url: string): Promise<string> {
  let last = '';
  for (const line of code.trim().split('\n')) {
    const command = onServer(line, url).replace(/^npx [\w-]+/, (name) => EXECUTABLES[name]!);
    if (command.endsWith('&')) start(`exec ${command.slice(0, -1)}`, folder, url);
    else {
      const { exitCode, output, errors } = await run(command, folder, url);
      expect({ command, exitCode, errors }).toEqual({ command, exitCode: 0, errors: '' });
      last = output;
    }
  }
  return last;
}

function start(command: string, folder: string, url: string): ChildProcess {
  const child = spawn('sh', ['-c', command], { cwd: folder, env: { ...process.env, DOCKET_URL: url } });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function run(command: string, folder: string, url: string) {
  const child = start(command, folder, url);
  let [output, errors] = ['', ''];
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const [exitCode] = await once(child, 'close');
  return { exitCode, output, errors };
}
