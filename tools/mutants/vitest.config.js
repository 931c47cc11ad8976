// The suite as it runs on the copy (sandbox.js): test processes note what they run, and files run in the given order.
import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig } from 'vitest/config';
import { BaseSequencer } from 'vitest/node';
import suite from '../../vitest.config.ts';

const order = JSON.parse(process.env.MUTANTS_ORDER ?? '[]');

class Ordered extends BaseSequencer {
  async sort(files) {
    const rank = ({ moduleId }) => order.findIndex((file) => moduleId.endsWith(`/${file}`));
    return [...files].sort((one, other) => rank(one) - rank(other));
  }
}

const overrides = defineConfig({
  test: {
    // Once: which test runs what. Then: each test with each of its mutants.
    ...(process.env.MUTANTS_NOTES
      ? { setupFiles: fileURLToPath(new URL('note-tests.js', import.meta.url)) }
      : { runner: fileURLToPath(new URL('runner.js', import.meta.url)), maxWorkers: 1, hookTimeout: 10_000 }),
    sequence: { sequencer: Ordered },
    testTimeout: Number(process.env.MUTANTS_TEST_TIMEOUT ?? 30_000),
  },
});

export default mergeConfig(suite, overrides);
