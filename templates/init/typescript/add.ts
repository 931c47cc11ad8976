/** Adds a task for the workers, and waits for its result. Redis is where DOCKET_URL says, or on localhost:6379. */
import { Docket } from 'docket';
import { digest } from './tasks.js';

async function main(): Promise<void> {
  const docket = new Docket();
  const execution = await docket.add(digest, { text: 'hello', rounds: 100_000 });
  console.log(await execution.result());
  await docket.close();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
