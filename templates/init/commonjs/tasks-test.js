/** Runs the tasks in this process, on an embedded server: these tests need no Redis. */
const { strictEqual } = require('node:assert');
const { test } = require('node:test');
const { Docket } = require('docket');
const { Worker } = require('docket/worker');
const { digest, tasks } = require('./tasks.js');

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
