/** A task adds one execution for each part of its work. The one that finishes last goes on with the whole. */
import { call, collection, type Docket, task } from 'docket';

export const about = 'a task fans out into parts, and the part that finishes last adds the summary';

interface Part {
  readonly job: string;
  readonly words: readonly string[];
}

const split = task('split', async ({ job, text }: { job: string; text: string }, ctx) => {
  const lines = text.split('\n');
  const parts = lines.map((line, i) => call(count, { job, words: line.split(' ') }, { key: `${job}/${i}` }));
  const redis = await ctx.docket.redis;
  await redis.hset(ctx.docket.key(`${job}:left`), Object.fromEntries(lines.map((_, i) => [`${job}/${i}`, '1'])));
  await ctx.docket.addMany(parts);
});

const count = task('count', async ({ job, words }: Part, ctx) => {
  const redis = await ctx.docket.redis;
  const [left, counts] = [ctx.docket.key(`${job}:left`), ctx.docket.key(`${job}:counts`)];
  await redis.hset(counts, ctx.key, words.length);
  // A part that runs again, because its worker died, removes its own name again: it is never counted twice.
  await redis.hdel(left, ctx.key);
  if ((await redis.exists(left)) > 0) return;
  await ctx.docket.add(summarize, { job }, { key: `${job}/summary`, once: true }); // two parts may both see that none is left
});

const summarize = task('summarize', async ({ job }: { job: string }, ctx) => {
  const redis = await ctx.docket.redis;
  const counts = await redis.hvals(ctx.docket.key(`${job}:counts`));
  await redis.publish(ctx.docket.key(`${job}:done`), String(counts.reduce((sum, n) => sum + Number(n), 0)));
});

export const tasks = collection(split, count, summarize);

export async function demonstrate(docket: Docket): Promise<void> {
  const job = `job-${Date.now()}`;
  const subscriber = (await docket.redis).duplicate();
  const done = new Promise<string>((resolve) => subscriber.on('message', (_channel, text) => resolve(text)));
  await subscriber.subscribe(docket.key(`${job}:done`));
  await docket.add(split, { job, text: 'to be or\nnot to be\nthat is the question' });
  console.log(`${await done} words were counted in 3 parts`);
  await subscriber.quit();
}
