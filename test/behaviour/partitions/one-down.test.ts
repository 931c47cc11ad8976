/** What a worker does while one partition cannot be used: here the server refuses every command about its keys. */
import { setTimeout as sleep } from 'node:timers/promises';
import { call, task } from 'docket';
import type { WorkerOptions } from 'docket/worker';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { STREAM_NAMES } from '../../support/built.js';
import { recordingLogger } from '../../support/logger.js';
import { divide, keyIn } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeOnOwnRedis } from '../../support/suites.js';
import { waitFor } from '../../support/wait.js';

const COUNT = 4;
const echo = task('echo', () => 'echo');
/** So slow that nothing is read ahead of it. */
const slow = task('slow', () => sleep(150, 'slow'));

describeOnOwnRedis('while one of four partitions cannot be used', (redis) => {
  const stage = setStage(() => redis().url);
  let admin: Redis;

  beforeAll(async () => {
    admin = new Redis(redis().socket);
    await allow('~*');
  });
  afterAll(() => admin.disconnect());

  async function allow(...patterns: string[]): Promise<void> {
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>pw', '&*', '+@all', 'resetkeys', ...patterns);
  }

  /** Starts a worker whose user can be kept from keys. Returns what its pages say. */
  async function start(options: WorkerOptions = {}) {
    const { logger, lines } = recordingLogger();
    const url = redis().url.replace('unix://', 'unix://app:pw@');
    const docket = stage.docket({ url, heartbeatInterval: '500ms' });
    const common = { healthcheckPort: 0, metricsPort: 0, redeliveryTimeout: '1s', logger } as const;
    stage.work({ echo, slow }, { ...common, ...options }, docket);
    const pages = () => lines.flatMap(({ fields }) => (fields.pages as string[] | undefined) ?? []);
    await waitFor(() => pages().length >= 4 && lines.some(({ message }) => /is ready$/.test(message)));
    const page = async (path: string) => {
      const answer = await fetch(pages().find((one) => one.endsWith(path))!);
      return { status: answer.status, text: await answer.text() };
    };
    return { lines, page };
  }

  test('the others are served, readiness, metrics and log name it, and it is served again afterwards', async () => {
    await divide(stage.docket(), COUNT);
    const { lines, page } = await start();
    const producer = stage.docket();
    await waitFor(async () => (await page('/readyz')).status === 200);
    await waitFor(async () => !(await page('/readyz')).text.includes('partitions'));

    await allow(`~{${stage.name}}:*`, `~{${stage.name}/1}:*`, `~{${stage.name}/3}:*`);
    // On a busy machine the answers of the others may be late, too, for a moment.
    await waitFor(async () => {
      const { status, text } = await page('/readyz');
      const { partitions = [] } = JSON.parse(text) as { partitions?: { partition: string; reason: string }[] };
      const [down] = partitions;
      return (
        status === 200 && partitions.length === 1 && down!.partition === '2' && /no (heartbeat|read)/.test(down!.reason)
      );
    });
    await waitFor(async () => {
      const up = (await page('/metrics')).text.split('\n').filter((line) => line.startsWith('docket_partition_up'));
      return up.map((line) => line.slice(-1)).join('') === '1101';
    });
    await waitFor(() => lines.some(({ level, fields }) => level === 'warn' && fields.partition === 2));
    const saying = (text: RegExp) => waitFor(() => lines.some(({ message }) => text.test(message)));
    await saying(/^no work is taken from partitions? (\d, )*2\b.*: Redis has answered no (heartbeat|read)/);
    const handles = await producer.addMany(
      [0, 1, 2, 3].map((partition) => call(echo, {}, { key: keyIn(partition, COUNT) })),
    );
    expect(await Promise.all([0, 1, 3].map((i) => handles[i]!.result()))).toEqual(['echo', 'echo', 'echo']);

    await allow('~*');
    expect(await handles[2]!.result()).toBe('echo');
    await waitFor(async () => !(await page('/readyz')).text.includes('partitions'));
    await saying(/^work is taken from partitions? (\d, )*2\b.* again, after \d+\.\d s$/);
  });

  test('a worker starts with the others, and reads it as soon as it can', async () => {
    await divide(stage.docket(), COUNT);
    await allow(`~{${stage.name}}:*`, `~{${stage.name}/1}:*`, `~{${stage.name}/3}:*`);
    const { page } = await start();
    const producer = stage.docket();
    const handles = await producer.addMany(
      [0, 1, 2, 3].map((partition) => call(echo, {}, { key: keyIn(partition, COUNT) })),
    );
    await Promise.all([0, 1, 3].map((i) => handles[i]!.result()));
    expect((await page('/readyz')).text).toContain('"partition":"2","reason":"it could not be opened yet"');
    await allow('~*');
    expect(await handles[2]!.result()).toBe('echo');
  });

  test('the others are served although the worker has room for nothing but what it has read of it', async () => {
    await divide(stage.docket(), COUNT);
    await start({ concurrency: 1, redeliveryTimeout: '30s' });
    const producer = stage.docket();
    await producer.add(slow, {}, { key: keyIn(2, COUNT, 'before') }).then((execution) => execution.result());

    const streams = STREAM_NAMES.map((stream) => `~{${stage.name}/2}:${stream}`); // reads go on, claims are refused
    await allow(`~{${stage.name}}:*`, `~{${stage.name}/1}:*`, `~{${stage.name}/3}:*`, ...streams);
    const lost = await producer.addMany(
      Array.from({ length: 5 }, (_, i) => call(slow, {}, { key: keyIn(2, COUNT, `lost-${i}-`) })),
    );
    await waitFor(async () => ((await admin.xpending(`{${stage.name}/2}:work`, 'workers')) as [number])[0] > 0);
    // The first of each comes with the read that waits already; each further one needs room.
    const keys = [0, 1, 3].flatMap((partition) => ['a', 'b', 'c'].map((letter) => keyIn(partition, COUNT, letter)));
    const served = await producer.addMany(keys.map((key) => call(slow, {}, { key })));
    await Promise.all(served.map((execution) => execution.result()));
    expect(((await admin.xpending(`{${stage.name}/2}:work`, 'workers')) as [number])[0]).toBeGreaterThan(0);

    await allow('~*');
    await Promise.all(lost.map((execution) => execution.result()));
  });
});
