import { expect, test } from 'vitest';
import { runModule } from '../support/child.js';

/** Runs code with the URLs of all modules that were loaded, by import or by require, at hand as `loaded()`. */
async function loadedBy(code: string): Promise<string[]> {
  const ended = await runModule(`
    import { createRequire, register } from 'node:module';
    import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
    process.noDeprecation = true; // what replaces register() in Node 26 is not there in Node 20
    const { port1, port2 } = new MessageChannel();
    const hooks = \`
      let port;
      export const initialize = (given) => { port = given; };
      export async function load(url, context, next) {
        port.postMessage(url);
        return next(url, context);
      }
    \`;
    register('data:text/javascript,' + encodeURIComponent(hooks), { data: port2, transferList: [port2] });
    const load = async () => { ${code} };
    await load();
    const urls = Object.keys(createRequire(import.meta.url).cache);
    for (let last; (last = receiveMessageOnPort(port1)); ) urls.push(last.message);
    console.log(JSON.stringify(urls));
    process.exit();
  `);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(ended.stdout) as string[];
}

function packagesOf(urls: readonly string[]): Set<string> {
  return new Set(urls.flatMap((url) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []));
}

const FOR_WORKERS = [
  'piscina',
  'prom-client',
  'commander',
  'pino',
  'pino-pretty',
  'js-redis-server',
  '@opentelemetry/api',
  'hono',
  '@hono/node-server',
];

test('importing docket loads nothing that only workers need, nor the client for Redis', async () => {
  const urls = await loadedBy(`await import('docket');`);
  const packages = packagesOf(urls);
  expect([...packages]).toEqual(expect.arrayContaining(['croner']));
  expect([...packages].filter((name) => [...FOR_WORKERS, 'ioredis'].includes(name))).toEqual([]);
  expect(urls.filter((url) => /\/dist\/src\/(worker|thread|cli|observe|dashboard|doctor|testing)\//.test(url))).toEqual(
    [],
  );
});

test('using an embedded server loads it only in its own thread', async () => {
  const urls = await loadedBy(`
    const { Docket, task } = await import('docket');
    const docket = new Docket({ url: 'memory://' });
    await docket.add(task('note', () => {}));
    await docket.close();
  `);
  expect([...packagesOf(urls)].filter((name) => FOR_WORKERS.includes(name))).toEqual([]);
});

test('importing docket/worker loads the thread pool, but no command line', async () => {
  const urls = await loadedBy(`await import('docket/worker');`);
  const packages = packagesOf(urls);
  expect(urls.filter((url) => /\/dist\/src\/(cli|dashboard|doctor|testing)\//.test(url))).toEqual([]);
  expect([...packages]).toEqual(expect.arrayContaining(['piscina', 'pino']));
  const later = [
    'commander',
    'hono',
    '@hono/node-server',
    'ioredis',
    'pino-pretty',
    'js-redis-server',
    'prom-client',
    '@opentelemetry/api',
  ];
  expect([...packages].filter((name) => later.includes(name))).toEqual([]);
});

test('importing docket/dashboard loads no server, and nothing that only workers or commands need', async () => {
  const urls = await loadedBy(`await import('docket/dashboard');`);
  const packages = packagesOf(urls);
  expect([...packages]).toEqual(expect.arrayContaining(['hono', 'pino']));
  const others = ['@hono/node-server', 'commander', 'piscina', 'prom-client', 'pino-pretty', 'ioredis'];
  expect([...packages].filter((name) => others.includes(name))).toEqual([]);
  expect(urls.filter((url) => /\/dist\/src\/(worker|thread|cli|observe)\//.test(url))).toEqual([]);
});

test('importing docket/testing loads no worker, no server and no client for Redis until a test docket is used', async () => {
  const urls = await loadedBy(`await import('docket/testing');`);
  const packages = packagesOf(urls);
  expect([...packages].filter((name) => [...FOR_WORKERS, 'ioredis'].includes(name))).toEqual([]);
  expect(urls.filter((url) => /\/dist\/src\/(worker|cli|observe|dashboard|doctor)\//.test(url))).toEqual([]);
});

test('importing docket connects to nothing and keeps no process alive', async () => {
  expect(await runModule(`import 'docket'; import 'docket/worker';`)).toEqual({
    code: 0,
    signal: null,
    stdout: '',
    stderr: '',
  });
});
