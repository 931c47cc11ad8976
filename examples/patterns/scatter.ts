/** An agenda spreads many executions over a period, so that they do not all begin at once. */
import { Agenda, collection, type Docket, task } from 'docket';

export const about = 'an agenda spreads the reports of all customers over two seconds';

const report = task('report', ({ customerId }: { customerId: string }) => ({ customerId, at: Date.now() }));

export const tasks = collection(report);

export async function demonstrate(docket: Docket): Promise<void> {
  const agenda = new Agenda();
  for (let i = 1; i <= 20; i++) agenda.add(report, { customerId: `c-${i}` });
  const began = Date.now();
  const executions = await agenda.scatter(docket, { over: '2s' });
  const results = await Promise.all(executions.map((execution) => execution.result()));
  const times = (results as { at: number }[]).map(({ at }) => at - began);
  console.log(`20 reports were made over ${(Math.max(...times) / 1_000).toFixed(1)} s`);
}
