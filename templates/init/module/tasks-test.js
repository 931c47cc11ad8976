/** Runs the tasks in this process, on an embedded server: these tests need no Redis. */
import { strictEqual } from 'node:assert';
import { test } from 'node:test';
import { Docket } from 'docket';
import { Worker } from 'docket/worker';
import { digest, tasks } from './tasks.js';

test('a digest is the same each time', async () => {
  const docket = new Docket({ url: 'memory://tests' });
  const worker = new Worker(docket, { tasks, threads: 0 });
  const first = await docket.add(digest, { text: 'hello', rounds: 10 });
  const second = await docket.add(digest, { text: 'hello', rounds: 10 });
  await worker.runUntilFinished();
  strictEqual(await first.result(), await second.result());
  await worker.close();
  await docket.close();
});
