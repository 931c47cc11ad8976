/**
 * Follows the quick starts of the documents to the letter, each with each package manager, in an empty folder. The commands and
 * the files are those of the documents. In place of the package there is its tarball, and of the usual port this run's Redis.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandOf, installManagers } from './managers.js';
import { blocksOf, kill, project, start, succeed } from './project.js';

const README = 'README.md';
const FIRST_STEPS = 'docs/getting-started.md';
/** The document, the kind of files that it has for a quick start, and the command that installs and the one that runs it. */
const QUICK_STARTS = {
  'ES modules': { document: README, kind: 'js', runs: 'node add.js' },
  CommonJS: { document: FIRST_STEPS, kind: 'cjs', runs: 'node add.cjs' },
  TypeScript: { document: FIRST_STEPS, kind: 'ts', runs: 'node dist/add.js' },
};
/** What users of each package manager write to add a package, and to run its commands. The folder is made as the documents say. */
const WORDS = {
  npm: { add: 'npm install', dev: '--save-dev', run: 'npx' },
  pnpm: { add: 'pnpm add', dev: '--save-dev', run: 'pnpm exec' },
  'yarn 1': { add: 'yarn add', dev: '--dev', run: 'yarn --silent run' },
  'yarn 4': { add: 'yarn add', dev: '--dev', run: 'yarn run' },
};
/** The hash that the last command prints. */
const DIGEST = /^[0-9a-f]{64}\n/;

/** Makes the cases of the quick starts. */
export async function quickStartCases(tarball, redis) {
  const tools = await installManagers();
  return Object.entries(QUICK_STARTS).flatMap(([kind, quickStart]) =>
    Object.keys(WORDS).map((manager) => [
      `quick start, ${kind}, ${manager}`,
      () => follow({ ...quickStart, manager, tools, tarball, redis }),
    ]),
  );
}

async function follow({ document, kind, runs, manager, tools, tarball, redis }) {
  const blocks = blocksOf(document);
  const commands = blocks.filter(({ language }) => language === 'sh').map(({ code }) => code.trim().split('\n'));
  const installs = commands.find((lines) => lines.some((line) => line.startsWith('npm init')));
  const started = commands.find((lines) => lines.includes(runs));
  if (!installs || !started) throw new Error(`${document} has no commands that install, or none with ${runs}`);
  const folder = project(manager === 'yarn 4' ? { '.yarnrc.yml': 'nodeLinker: node-modules\n', 'yarn.lock': '' } : {});
  const workers = [];
  const shell = { cwd: folder, env: { PATH: pathWith(manager, tools), npm_config_update_notifier: 'false' } };
  const say = (line) => inWordsOf(manager, line.replaceAll('redis://localhost:6379', redis), tarball);
  let last;
  try {
    for (const line of installs) await succeed('sh', ['-c', say(line)], shell);
    for (const { file, code } of blocks)
      if (file?.endsWith(`.${kind}`))
        writeFileSync(join(folder, file), code.replaceAll('redis://localhost:6379', redis));
    const config = blocks.find(({ language }) => language === 'json');
    if (kind === 'ts') writeFileSync(join(folder, 'tsconfig.json'), config.code);
    const env = { ...shell.env, DOCKET_URL: redis };
    for (const line of started) {
      if (line.endsWith('&')) workers.push(startInBackground(say(line.slice(0, -1)), { cwd: folder, env }));
      else last = await succeed('sh', ['-c', say(line)], { cwd: folder, env });
    }
  } finally {
    for (const worker of workers) kill(worker, { detached: true });
  }
  if (!DIGEST.test(last.output)) throw new Error(`${runs} wrote: ${last.output}${last.errors}`);
  return 'gives the result';
}

/** A command line in the words of a package manager, with the tarball in place of the package. */
function inWordsOf(manager, line, tarball) {
  const { add, dev, run } = WORDS[manager];
  const installed = manager.startsWith('yarn') ? `docket@file:${tarball}` : tarball;
  return line
    .replace(/(npm install) docket\b.*/, `$1 ${installed}`)
    .replace('npm install', add)
    .replace('--save-dev', dev)
    .replace(/^npx /, `${run} `);
}

/** A folder with the command of the package manager, before the path of this process. */
function pathWith(manager, tools) {
  if (manager === 'npm') return process.env.PATH;
  const [file, ...args] = commandOf(manager, process.execPath, tools);
  const name = manager.replace(/ .*/, '');
  const script = `#!/bin/sh\nexec ${[file, ...args].map((word) => `'${word}'`).join(' ')} "$@"\n`;
  const folder = project({ [name]: script });
  chmodSync(join(folder, name), 0o755);
  return `${folder}:${process.env.PATH}`;
}

function startInBackground(command, { cwd, env }) {
  return start('sh', ['-c', command], { cwd, env: { ...process.env, NO_COLOR: '1', ...env }, detached: true });
}
