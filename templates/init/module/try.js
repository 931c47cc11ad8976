/** Adds a task and runs it, all in this process and without Redis. */
import { Docket } from 'docket';
import { Worker } from 'docket/worker';
import { digest, tasks } from './tasks.js';

async function main() {
  const docket = new Docket({ url: 'memory://' });
  const worker = new Worker(docket, { tasks, threads: 0 });
  const execution = await docket.add(digest, { text: 'hello', rounds: 1_000 });
  await worker.runUntilFinished();
  console.log(await execution.result());
  await worker.close();
  await docket.close();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
