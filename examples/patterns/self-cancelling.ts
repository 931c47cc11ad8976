/** A perpetual task ends itself when there is nothing left to wait for. */
import { setTimeout as sleep } from 'node:timers/promises';
import { collection, type Docket, perpetual, task } from 'docket';

export const about = 'a task polls until the payment has arrived, then ends its own chain';

const poll = task(
  'poll-payment',
  { perpetual: perpetual({ every: '50ms' }) },
  async ({ payment }: { payment: string }, ctx) => {
    const polls = await (await ctx.docket.redis).incr(ctx.docket.key(`${payment}:polls`));
    if (polls < 5) return; // not yet: it runs again in 50 ms
    ctx.perpetual.cancel();
    return polls;
  },
);

export const tasks = collection(poll);

export async function demonstrate(docket: Docket): Promise<void> {
  const payment = `payment-${Date.now()}`;
  await docket.add(poll, { payment }, { key: payment });
  let execution = await docket.getExecution(payment);
  while (execution && execution.state !== 'completed') {
    await sleep(20);
    execution = await docket.getExecution(payment);
  }
  console.log(`the payment was there at poll ${await execution!.result()}`);
}
