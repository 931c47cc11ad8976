/** Temporary projects that have docket from its packed tarball, and the processes that run in them. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** All projects are below this folder, which is removed at the end. */
export const AREA = mkdtempSync(join(tmpdir(), 'docket-packages-'));
process.on('exit', () => rmSync(AREA, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1)); // so that it is removed then, too

/** Packs docket as it would be published, and returns the path of the tarball. `dist` must be built. */
export async function pack() {
  const { code, errors } = await run('npm', ['pack', '--ignore-scripts', '--pack-destination', AREA], { cwd: ROOT });
  const tarball = readdirSync(AREA).find((name) => name.endsWith('.tgz'));
  if (code !== 0 || !tarball) throw new Error(`npm pack failed: ${errors}`);
  return join(AREA, tarball);
}

/** Makes a folder with these files, whose paths may have folders. Objects become JSON. */
export function project(files) {
  const folder = mkdtempSync(join(AREA, 'project-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), typeof content === 'string' ? content : JSON.stringify(content, null, 2));
  }
  return folder;
}

/** The package.json of a project with these dependencies. */
export function manifest(dependencies, others = {}) {
  return { name: 'project', version: '1.0.0', license: 'MIT', private: true, type: 'module', dependencies, ...others };
}

/** Runs a program to its end. `node` is the Node that comes first on its path. */
export function run(file, args, { cwd, node = process.execPath, env = {} }) {
  const PATH = `${dirname(node)}${delimiter}${process.env.PATH}`;
  const options = { cwd, env: { ...process.env, NO_COLOR: '1', PATH, ...env }, timeout: 600_000, maxBuffer: 1e8 };
  return new Promise((resolve) => {
    execFile(file, args, options, (error, output, errors) => {
      resolve({ code: error ? (error.code ?? error.signal) : 0, output, errors });
    });
  });
}

/** Runs a program, and throws what it wrote when it failed. */
export async function succeed(file, args, options) {
  const ended = await run(file, args, options);
  if (ended.code !== 0) throw new Error(`${file} ${args.join(' ')}: ${ended.code}\n${ended.output}\n${ended.errors}`);
  return ended;
}

/** Throws unless a program wrote exactly this. */
export function expectOutput({ code, output, errors }, expected) {
  if (code !== 0 || output !== expected || errors !== '') {
    throw new Error(`expected ${JSON.stringify(expected)}, got ${code}: ${output}\n${errors}`);
  }
}

/** What `start` has started, with its options. */
const started = new Map();
process.once('exit', () => {
  for (const [child, options] of started) kill(child, options);
});

/** Starts a process that ends with this one. With `detached`, those that it has started end with it, too. */
export function start(file, args, options) {
  const child = spawn(file, args, { stdio: 'ignore', ...options });
  started.set(child, options);
  return child;
}

/** Ends what `start` has started. */
export function kill(child, { detached } = {}) {
  try {
    process.kill(detached ? -child.pid : child.pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error; // it has ended
  }
}

/** Starts a Redis of its own on a free port, and returns its URL. */
export async function startRedis() {
  const port = await freePort();
  start('redis-server', ['--port', `${port}`, '--save', '', '--bind', '127.0.0.1'], {});
  await listening(port);
  return `redis://127.0.0.1:${port}`;
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** Waits until something listens on the port. */
export async function listening(port) {
  for (let attempt = 0; attempt < 600; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    await delay(100);
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** The blocks of code of a document, in order, with the file that their first line names. */
export function blocksOf(document) {
  const text = readFileSync(join(ROOT, document), 'utf8');
  return Array.from(text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm), ([, language, code]) => ({
    language,
    code,
    file: /^\/\/ (\S+\.[cm]?[jt]s)\n/.exec(code)?.[1] ?? null,
  }));
}

/** The code of the block that names this file. */
export function fileOf(document, name) {
  const block = blocksOf(document).find(({ file }) => file === name);
  if (!block) throw new Error(`${document} has no block for ${name}`);
  return block.code;
}
