/** The parts of a job count on the progress of the job, which anybody can follow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { call, collection, type Docket, task } from 'docket';

export const about = 'parts of a job add to the progress of the job that a user watches';

const PARTS = 8;

/** Ends when all parts have: it takes a place of the worker while it waits, so give such tasks a worker with room. */
const convert = task('convert', async ({ album }: { album: string }, { docket, key, progress, signal }) => {
  progress.setTotal(PARTS);
  const photos = Array.from({ length: PARTS }, (_, i) => call(resize, { job: key, photo: `${album}/${i}.jpg` }));
  const parts = await docket.addMany(photos);
  await Promise.all(parts.map((part) => part.result({ signal })));
});

const resize = task('resize', async ({ job }: { job: string; photo: string }, ctx) => {
  await sleep(20, undefined, { signal: ctx.signal });
  await (await ctx.docket.getExecution(job))?.progress.increment();
});

export const tasks = collection(convert, resize);

export async function demonstrate(docket: Docket): Promise<void> {
  const execution = await docket.add(convert, { album: 'summer' });
  for await (const event of execution.subscribe()) {
    if (event.type === 'progress' && event.current > 0) console.log(`${event.current} of ${event.total} photos`);
    if (event.type === 'state') console.log(event.state);
  }
}
