/** A perpetual task looks for what is to be done, and adds a small execution for each thing that it finds. */
import { setTimeout as sleep } from 'node:timers/promises';
import { call, collection, type Docket, perpetual, task } from 'docket';

export const about = 'a task that runs every second adds one execution for each thing that it finds';

const deliver = task('deliver', async ({ order }: { order: number }, ctx) => {
  await (await ctx.docket.redis).rpush(ctx.docket.key('delivered'), order);
});

/** `automatic` lets the workers start it, once in the whole fleet. Where a run is missed, the next one finds the rest. */
const findOrders = task(
  'find-orders',
  { perpetual: perpetual({ every: '1s', automatic: true }) },
  async (_args, ctx) => {
    const redis = await ctx.docket.redis;
    const orders = (await redis.spop(ctx.docket.key('orders'), 100)) as unknown as string[];
    // The key makes sure that an order which is found twice is not delivered twice at the same time.
    await ctx.docket.addMany(orders.map((order) => call(deliver, { order: Number(order) }, { key: `order-${order}` })));
  },
);

export const tasks = collection(findOrders, deliver);

export async function demonstrate(docket: Docket): Promise<void> {
  const redis = await docket.redis;
  const orders = Array.from({ length: 250 }, (_, i) => i + 1);
  await redis.del(docket.key('delivered'));
  await redis.sadd(docket.key('orders'), ...orders);
  console.log(`${orders.length} orders were placed`);
  let delivered = 0;
  while (delivered < orders.length) {
    await sleep(100);
    delivered = await redis.llen(docket.key('delivered'));
  }
  console.log(`${delivered} orders were delivered`);
  await docket.cancel(findOrders.name); // the key of an automatic task is its name
}
