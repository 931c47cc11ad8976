/** Runs the whole service in this process: the web server, an embedded Redis and a worker with two threads. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Docket } from 'docket';
import type { Worker } from 'docket/worker';
import type { FastifyInstance } from 'fastify';
import sharp from 'sharp';
import type { Thumbnails } from '../src/tasks.js';

const folder = await mkdtemp(join(tmpdir(), 'thumbnails-'));
process.env.PHOTOS_FOLDER = folder; // before the tasks are loaded, here and in the threads

let docket: Docket;
let worker: Worker;
let server: FastifyInstance;
let running: Promise<void>;
let url: string;

before(async () => {
  const [{ Docket }, { Worker }, { buildServer }] = await Promise.all([
    import('docket'),
    import('docket/worker'),
    import('../src/server.js'),
  ]);
  docket = new Docket({ url: 'memory://thumbnails-test' });
  worker = new Worker(docket, { tasks: new URL('../src/tasks.js', import.meta.url), threads: 2, concurrency: 6 });
  running = worker.runForever();
  server = await buildServer(docket);
  url = await server.listen({ port: 0, host: '127.0.0.1' });
});

after(async () => {
  await server.close();
  await worker.close();
  await running;
  await docket.close();
  await rm(folder, { recursive: true });
});

async function upload(customerId: string, content: Uint8Array<ArrayBuffer>): Promise<Response> {
  const form = new FormData();
  form.set('photo', new Blob([content]), 'photo.png');
  return await fetch(`${url}/customers/${customerId}/photos`, { method: 'POST', body: form });
}

async function somePhoto(): Promise<Uint8Array<ArrayBuffer>> {
  const noise = { type: 'gaussian', mean: 128, sigma: 30 } as const;
  const image = sharp({ create: { width: 800, height: 600, channels: 3, background: 'teal', noise } });
  return new Uint8Array(await image.png().toBuffer());
}

/** Follows the events of a photo to their end. */
async function eventsOf(path: string): Promise<{ type: string; state?: string; current?: number; total?: number }[]> {
  const text = await (await fetch(`${url}${path}`)).text();
  return text
    .split('\n\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line.slice('data: '.length)));
}

test('a photo gets its thumbnails, and the browser sees the progress', async () => {
  const response = await upload('ada', await somePhoto());
  assert.equal(response.status, 202);
  const { photo, events } = (await response.json()) as { photo: string; events: string };
  const seen = await eventsOf(events);
  assert.equal(seen.at(-1)?.state, 'completed');
  assert.ok(seen.some(({ type, current, total }) => type === 'progress' && current === total));
  const thumbnail = await fetch(`${url}/photos/${photo}/128`);
  assert.equal(thumbnail.headers.get('content-type'), 'image/webp');
  const { width, height } = await sharp(await thumbnail.arrayBuffer()).metadata();
  assert.deepEqual({ width, height }, { width: 128, height: 96 });
});

test('a customer with many photos has at most two in work at once', async () => {
  const content = await somePhoto();
  const replies = await Promise.all(Array.from({ length: 6 }, () => upload('bob', content)));
  const photos = (await Promise.all(replies.map((reply) => reply.json()))) as { photo: string }[];
  const runs = await Promise.all(
    photos.map(async ({ photo }) => {
      const execution = await docket.getExecution(photo);
      return (await execution!.result()) as Thumbnails;
    }),
  );
  const atOnce = runs.map(
    (run) => runs.filter((one) => one.beganAt <= run.beganAt && run.beganAt < one.endedAt).length,
  );
  assert.ok(Math.max(...atOnce) <= 2, `${Math.max(...atOnce)} at once`);
});

test('what is no image fails after three attempts, and says why', async () => {
  const response = await upload('cyd', new TextEncoder().encode('this is no image'));
  const { events, state } = (await response.json()) as { events: string; state: string };
  assert.equal((await eventsOf(events)).at(-1)!.state, 'failed');
  assert.match(((await (await fetch(`${url}${state}`)).json()) as { error: string }).error, /unsupported image format/);
});

test('nothing but ids and known widths leads to files', async () => {
  for (const path of ['/photos/..%2f..%2fetc%2fpasswd', '/photos/x/64', `/photos/${crypto.randomUUID()}/65`])
    assert.equal((await fetch(`${url}${path}`)).status, 400, path);
  assert.equal((await fetch(`${url}/photos/${crypto.randomUUID()}/64`)).status, 404);
  assert.equal((await upload('a b', await somePhoto())).status, 400);
});

test('the nightly report can be made at once', async () => {
  let status = 409; // the chain is started by the worker, a moment after it is ready
  while (status === 409) {
    ({ status } = await fetch(`${url}/reports`, { method: 'POST' }));
    await sleep(50);
  }
  assert.equal(status, 202);
  const day = new Date().toISOString().slice(0, 10);
  let report: string | null = null;
  while (report === null) {
    await sleep(50);
    report = await readFile(join(folder, `report-${day}.json`), 'utf8').catch(() => null);
  }
  assert.ok(JSON.parse(report).photos >= 1);
});
