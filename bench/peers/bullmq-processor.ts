/** The handler of BullMQ's jobs: its sandbox loads this file into threads, its in-process worker imports it. */

import { setTimeout as sleep } from 'node:timers/promises';
import hashRounds from './hash-rounds.js';
import { recordLateness } from './lateness.js';
import type { Payload } from './payload.js';
import { noteStart } from './start-times.js';
import { tally } from './tally.js';
import { reportWait, type TimedWork } from './waits.js';

interface Job {
  readonly name: string;
  readonly data: Payload | TimedWork;
  /** When it was added. */
  readonly timestamp: number;
  readonly opts: { readonly delay?: number };
}

export default async function run({ name, data, timestamp, opts }: Job): Promise<number | undefined> {
  switch (name) {
    case 'tally':
      await tally(data as Payload);
      return;
    case 'burn':
      hashRounds({ rounds: Number(process.env.BENCH_HASH_ROUNDS) });
      return;
    case 'sleep1':
    case 'sleep10':
    case 'sleep100':
      await sleep(Number(name.slice('sleep'.length)));
      return;
    case 'punctual':
      recordLateness(timestamp + (opts.delay ?? 0));
      return;
    case 'noted':
      noteStart((data as Payload).index);
      return (data as Payload).index;
    case 'noop':
      return;
    default:
      await reportWait(data as TimedWork);
      return;
  }
}
