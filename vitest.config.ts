import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** The built package: tests meet it as its users do, loaded by Node itself. Threads and child processes need it built. */
const built = (file: string) => fileURLToPath(new URL(`./dist/src/${file}`, import.meta.url));

/**
 * Tests that replace modules, or change the scripts that a process sends: they need a process of their own. In a shared one, the
 * files behind them would run with what they left.
 */
const replacing = readdirSync(built('../../test'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) =>
    /\bvi\.(?:do)?[mM]ock\(|fixtures\/shifted-clock\.js|'\.\/clock\.js'/.test(
      readFileSync(join(built('../../test'), file), 'utf8'),
    ),
  )
  .map((file) => `test/${file.replaceAll('\\', '/')}`);

const UNIT = 'test/unit/**/*.test.ts';

/** A process runs many files: it loads the package once, and has one Redis. */
const shared = {
  include: ['test/**/*.test.ts'],
  exclude: replacing,
  isolate: false,
  globalSetup: 'test/support/temporary.ts',
};

export default defineConfig({
  resolve: {
    alias: [
      { find: /^docket$/, replacement: built('index.js') },
      { find: /^docket\/worker$/, replacement: built('worker/index.js') },
      { find: /^docket\/dashboard$/, replacement: built('dashboard/index.js') },
      { find: /^docket\/testing$/, replacement: built('testing/index.js') },
    ],
  },
  test: {
    server: { deps: { external: [/\/dist\//] } },
    pool: 'forks',
    maxWorkers: 4, // on two cores: tests wait for half of their time
    expect: { requireAssertions: true, poll: { timeout: 20_000, interval: 20 } },
    setupFiles: 'test/support/real-timers.ts',
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ['default'],
    // They begin in the order of their names. Unit tests are last: the short ones are what all processes have to do until the end.
    projects: [
      { extends: true, test: { name: 'apart', include: replacing, isolate: true } },
      { extends: true, test: { ...shared, name: 'behaviour', exclude: [...replacing, UNIT] } },
      { extends: true, test: { ...shared, name: 'unit', include: [UNIT] } },
    ],
  },
});
