/** During an incident, the work of one customer is kept from running, while that of all others goes on. */
import { call, collection, type Docket, task } from 'docket';

export const about = 'the work of one customer is struck during an incident, and restored afterwards';

const sync = task('sync', ({ customerId }: { customerId: string }) => `${customerId} is in sync`);

export const tasks = collection(sync);

export async function demonstrate(docket: Docket): Promise<void> {
  await docket.strike(null, 'customerId', '==', 'c-13');
  const executions = await docket.addMany(['c-12', 'c-13', 'c-14'].map((customerId) => call(sync, { customerId })));
  for (const { args, disposition } of executions) console.log((args as { customerId: string }).customerId, disposition);
  await docket.restore(null, 'customerId', '==', 'c-13');
  console.log(await (await docket.add(sync, { customerId: 'c-13' })).result());
}
