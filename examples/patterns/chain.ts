/** Each task adds the next one with its own result. Whoever added the first one waits for the last by its key. */
import { setTimeout as sleep } from 'node:timers/promises';
import { collection, type Docket, task } from 'docket';

export const about = 'three tasks in a row, each with the result of the one before it';

const download = task('download', async ({ url }: { url: string }, ctx) => {
  await ctx.docket.add(parse, { job: ctx.key, text: `# ${url}\nhello` }, { key: `${ctx.key}/parse` });
});

const parse = task('parse', async ({ job, text }: { job: string; text: string }, ctx) => {
  await ctx.docket.add(store, { job, lines: text.split('\n') }, { key: `${job}/store` });
});

const store = task('store', ({ lines }: { job: string; lines: string[] }) => lines.length);

export const tasks = collection(download, parse, store);

export async function demonstrate(docket: Docket): Promise<void> {
  const job = `page-${Date.now()}`;
  await docket.add(download, { url: 'https://example.org/' }, { key: job });
  let last = await docket.getExecution(`${job}/store`);
  while (last === null) {
    await sleep(20); // the chain has not come that far
    last = await docket.getExecution(`${job}/store`);
  }
  console.log(`the last of three tasks stored ${await last.result()} lines`);
}
