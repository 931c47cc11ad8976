/** A perpetual task decides after each run how soon the next one is due. */
import { setTimeout as sleep } from 'node:timers/promises';
import { collection, type Docket, perpetual, task } from 'docket';

export const about = 'a task runs soon again while there is a backlog, and seldom while there is none';

const BATCH = 10;

const drain = task('drain-outbox', { perpetual: perpetual({ every: '1m' }) }, async (_args, ctx) => {
  const redis = await ctx.docket.redis;
  const sent = (await redis.lpop(ctx.docket.key('outbox'), BATCH)) ?? [];
  await redis.incrby(ctx.docket.key('sent'), sent.length);
  if (sent.length === BATCH) ctx.perpetual.after('10ms'); // there may be more; otherwise in a minute
});

export const tasks = collection(drain);

export async function demonstrate(docket: Docket): Promise<void> {
  const redis = await docket.redis;
  await redis.del(docket.key('sent'), docket.key('outbox'));
  await redis.rpush(docket.key('outbox'), ...Array.from({ length: 95 }, (_, i) => `mail ${i}`));
  await docket.replace(drain, {}, { key: 'drain-outbox' });
  while (Number(await redis.get(docket.key('sent'))) < 95) await sleep(20);
  console.log('95 mails were sent in 10 runs, milliseconds apart');
  let next = await docket.getExecution('drain-outbox');
  while (next!.state !== 'scheduled') {
    await sleep(20);
    next = await docket.getExecution('drain-outbox');
  }
  console.log(`the next run is due in ${Math.round((next!.when.getTime() - Date.now()) / 1_000)} s`);
  await docket.cancel('drain-outbox');
}
