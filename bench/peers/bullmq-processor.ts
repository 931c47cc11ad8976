/** The handler of BullMQ's jobs: its sandbox loads this file into threads, its in-process worker imports it. */

import { setTimeout as sleep } from 'node:timers/promises';
import hashRounds from './hash-rounds.js';
import type { Payload } from './payload.js';
import { noteStart } from './start-times.js';
import { tally } from './tally.js';

export default async function run(job: { name: string; data: Payload }): Promise<number | undefined> {
  if (job.name === 'tally') await tally(job.data);
  if (job.name === 'burn') hashRounds({ rounds: Number(process.env.BENCH_HASH_ROUNDS) });
  else if (job.name === 'sleep1') await sleep(1);
  else if (job.name === 'sleep10') await sleep(10);
  else if (job.name === 'sleep100') await sleep(100);
  if (job.name !== 'noted') return;
  noteStart(job.data.index);
  return job.data.index;
}
