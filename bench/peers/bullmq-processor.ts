/** The handler of BullMQ's jobs: its sandbox loads this file into threads, its in-process worker imports it. */
import type { Payload } from './payload.js';
import { noteStart } from './start-times.js';
import { tally } from './tally.js';

export default async function run(job: { name: string; data: Payload }): Promise<number | undefined> {
  if (job.name === 'tally') await tally(job.data);
  if (job.name !== 'noted') return;
  noteStart(job.data.index);
  return job.data.index;
}
