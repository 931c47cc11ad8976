/** A program that is bundled into one file with all its dependencies works as it does unbundled, or says why it cannot. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ModuleFormat, rolldown } from 'rolldown';
import { describe, expect, test } from 'vitest';
import { runModule } from '../support/child.js';
import { installInto } from '../support/installed.js';
import { describeOnRedis } from '../support/suites.js';

const PRODUCER = `
  import { Docket, TimeoutError } from 'docket';
  export async function run(url, name) {
    const docket = new Docket({ url, name });
    const execution = await docket.add('nobody-has-it', { n: 1 });
    await execution.result({ timeout: 1 }).catch((error) => console.log(error.name, error instanceof TimeoutError));
    await docket.clear();
    await docket.close();
  }
`;

const EMBEDDED_WORKER = `
  import { Docket, task } from 'docket';
  import { Worker } from 'docket/worker';
  export async function run(url, name) {
    const docket = new Docket({ url, name });
    const execution = await docket.add(task('double', ({ n }) => n * 2), { n: 21 });
    const tasks = { double: task('double', ({ n }) => n * 2) };
    const worker = new Worker(docket, { tasks, threads: 0, metricsPort: 0 });
    await worker.runUntilFinished();
    console.log(await execution.result());
    await docket.close();
  }
`;

/** Uses everything for which docket loads files of its own. */
const UNBUNDLED = `
  import { Docket } from 'docket';
  import { dashboard } from 'docket/dashboard';
  import { Worker } from 'docket/worker';
  export async function run(url, name) {
    const say = (error) => console.log(error.code, error.file);
    const embedded = new Docket({ url: 'memory://', name });
    await embedded.add('hello').catch(say);
    await embedded.close();
    const docket = new Docket({ url, name });
    const worker = new Worker(docket, { tasks: './tasks.js', threads: 1, metricsPort: 0 });
    await worker.runUntilFinished().catch(say);
    try {
      await dashboard(docket)(new Request('http://localhost/'));
    } catch (error) {
      say(error);
    }
    await docket.close();
  }
`;

/** Bundles a module with everything it imports, minified, and runs what it exports, away from all packages. */
async function runBundled(code: string, format: ModuleFormat, url: string, name: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'bundle-'));
  installInto(folder);
  writeFileSync(join(folder, 'input.mjs'), code);
  const bundle = await rolldown({ input: join(folder, 'input.mjs'), platform: 'node', logLevel: 'silent' });
  const file = join(mkdtempSync(join(tmpdir(), 'bundled-')), format === 'cjs' ? 'bundle.cjs' : 'bundle.mjs');
  await bundle.write({ file, format, minify: true, codeSplitting: false });
  await bundle.close();
  const ended = await runModule(`
    const { run } = await import(${JSON.stringify(file)});
    await run(${JSON.stringify(url)}, ${JSON.stringify(name)});
  `);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout;
}

describeOnRedis('bundled', (url) => {
  describe.each(['esm', 'cjs'] as const)('as %s,', (format) => {
    test('a producer adds and waits for results', async () => {
      expect(await runBundled(PRODUCER, format, url(), `bundled-producer-${format}`)).toBe('TimeoutError true\n');
    });

    test('an embedded worker runs tasks, and serves metrics', async () => {
      expect(await runBundled(EMBEDDED_WORKER, format, url(), `bundled-worker-${format}`)).toBe('42\n');
    });

    test('what needs files of docket fails with an error that says so', async () => {
      expect(await runBundled(UNBUNDLED, format, url(), `unbundled-${format}`)).toBe(
        ['redis/embedded-server.js', 'thread/entry.js', '../../package.json']
          .map((file) => `DOCKET_BUNDLED ${file}\n`)
          .join(''),
      );
    });
  });
});
