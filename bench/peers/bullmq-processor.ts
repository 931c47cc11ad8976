/** The handler of BullMQ's jobs: its sandbox loads this file into threads, its in-process worker imports it. */
import { recordLateness } from './lateness.js';
import type { Payload } from './payload.js';
import { tally } from './tally.js';

interface Job {
  readonly name: string;
  readonly data: Payload;
  /** When it was added. */
  readonly timestamp: number;
  readonly opts: { readonly delay?: number };
}

export default async function run({ name, data, timestamp, opts }: Job): Promise<void> {
  if (name === 'tally') await tally(data);
  if (name === 'punctual') recordLateness(timestamp + (opts.delay ?? 0));
}
