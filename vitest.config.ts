import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** The built package: tests meet it as its users do, loaded by Node itself. Threads and child processes need it built. */
const built = (file: string) => fileURLToPath(new URL(`./dist/src/${file}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^docket$/, replacement: built('index.js') },
      { find: /^docket\/worker$/, replacement: built('worker/index.js') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    server: { deps: { external: [/\/dist\//] } },
    globalSetup: 'test/support/temporary.ts',
    pool: 'forks',
    isolate: false, // a process loads the package once, and has one Redis
    maxWorkers: 3, // on two cores: tests also wait
    expect: { requireAssertions: true, poll: { timeout: 20_000, interval: 20 } },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ['default'],
  },
});
