/** Limits per customer, per database and per API, which hold in the whole fleet. */
import { setTimeout as sleep } from 'node:timers/promises';
import { call, collection, concurrencyLimit, type Docket, rateLimit, task } from 'docket';

export const about = 'at most one at once per customer, two per database, and five calls a second of an API';

const importOrders = task(
  'import-orders',
  {
    limits: [
      concurrencyLimit('customerId', { max: 1 }),
      concurrencyLimit('database', { max: 2, scope: 'database' }), // counted together with other tasks of this scope
    ],
  },
  async ({ customerId }: { customerId: string; database: string }) => {
    const began = Date.now();
    await sleep(50);
    return { customerId, began, ended: Date.now() };
  },
);

const geocode = task('geocode', { limits: [rateLimit({ max: 5, per: '1s' })] }, (_args: { address: string }) =>
  Date.now(),
);

export const tasks = collection(importOrders, geocode);
export const concurrency = 8;

export async function demonstrate(docket: Docket): Promise<void> {
  const customers = ['ada', 'ada', 'ada', 'bob', 'bob', 'cyd'];
  const imports = await docket.addMany(
    customers.map((customerId) => call(importOrders, { customerId, database: 'main' })),
  );
  const runs = await Promise.all(imports.map((execution) => execution.result()));
  const overlaps = (run: (typeof runs)[number]) => runs.filter((one) => one.began < run.ended && run.began < one.ended);
  const perCustomer = runs.map((run) => overlaps(run).filter((one) => one.customerId === run.customerId).length);
  console.log(`at once for one customer: ${Math.max(...perCustomer)}`);

  const began = Date.now();
  const calls = await docket.addMany(Array.from({ length: 11 }, (_, i) => call(geocode, { address: `street ${i}` })));
  const times = await Promise.all(calls.map((execution) => execution.result()));
  console.log(`11 calls of the API took ${Math.floor((Math.max(...times) - began) / 1_000)} s`);
}
