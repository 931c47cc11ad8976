/** The tasks of this project. Workers load this module. */
const { createHash } = require('node:crypto');
const { collection, exponentialRetry, task } = require('docket');

/** Hashes a text many times over. Replace it with work of your own. */
const digest = task(
  'digest',
  { retry: exponentialRetry({ attempts: 3 }), timeout: '30s' },
  async ({ text, rounds }, ctx) => {
    let hash = text;
    for (let round = 0; round < rounds; round++) hash = createHash('sha256').update(hash).digest('hex');
    ctx.logger.info({ rounds }, 'hashed');
    return hash;
  },
);

const tasks = collection(digest);

module.exports = { digest, tasks };
