/** A producer saves nothing but the key. Another process asks for the result later. */
import { collection, Docket, task } from 'docket';

export const about = 'one process adds work and keeps its key; another one fetches the result by that key';

const render = task('render', ({ document }: { document: string }) => `<h1>${document}</h1>`);

export const tasks = collection(render);

export async function demonstrate(docket: Docket): Promise<void> {
  const { key } = await docket.add(render, { document: 'invoice 42' });
  console.log('the key is saved, for example in a row of a database');

  await using elsewhere = new Docket({ name: docket.name, url: process.env.DOCKET_URL || 'memory://patterns' });
  const execution = await elsewhere.getExecution(key);
  console.log(`the result is ${await execution!.result()}`);
}
