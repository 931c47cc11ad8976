/** The handler of BullMQ's jobs: its sandbox loads this file into threads, its in-process worker imports it. */
import type { Payload } from './payload.js';
import { tally } from './tally.js';
import { reportWait, type TimedWork } from './waits.js';

export default async function run(job: { name: string; data: Payload | TimedWork }): Promise<void> {
  if (job.name === 'tally') await tally(job.data as Payload);
  else if (job.name !== 'noop') await reportWait(job.data as TimedWork);
}
