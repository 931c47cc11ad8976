/** Adds a task for the workers, and waits for its result. Redis is where DOCKET_URL says, or on localhost:6379. */
const { Docket } = require('docket');
const { digest } = require('./tasks.js');

async function main() {
  const docket = new Docket();
  const execution = await docket.add(digest, { text: 'hello', rounds: 100_000 });
  console.log(await execution.result());
  await docket.close();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
