/** The tasks of this project. Workers load this module. */
import { createHash } from 'node:crypto';
import { collection, exponentialRetry, task } from 'docket';

/** Hashes a text many times over. Replace it with work of your own. */
export const digest = task(
  'digest',
  { retry: exponentialRetry({ attempts: 3 }), timeout: '30s' },
  async ({ text, rounds }: { text: string; rounds: number }, ctx) => {
    let hash = text;
    for (let round = 0; round < rounds; round++) hash = createHash('sha256').update(hash).digest('hex');
    ctx.logger.info({ rounds }, 'hashed');
    return hash;
  },
);

export const tasks = collection(digest);
