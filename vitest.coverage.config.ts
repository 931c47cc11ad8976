/**
 * The suite as `npm run test:coverage` runs it. Unit tests, too, meet the built package, so that Node's own coverage
 * (`NODE_V8_COVERAGE`) sees everything in one form: test processes, worker threads and child processes. Source maps lead
 * back to the lines of `src`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig, type Plugin } from 'vitest/config';
import suite from './vitest.config.js';

const ROOT = fileURLToPath(new URL('.', import.meta.url));
const SOURCE = /^(?:\.\.\/)+src\/(.+)$/;

const built: Plugin = {
  name: 'built',
  enforce: 'pre',
  resolveId(source) {
    const path = SOURCE.exec(source)?.[1];
    return path ? join(ROOT, 'dist/src', path) : null;
  },
};

/**
 * Tests that only run on the sources are left out: a module that Node loads cannot be replaced, and fixtures of the loader
 * import the sources. What they run has other positions there, which would count for the wrong lines.
 */
const needingSources = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => `test/${file.replaceAll('\\', '/')}`)
  .filter((file) => file.endsWith('/loader.test.ts') || readFileSync(join(ROOT, file), 'utf8').includes('vi.mock('));

export default mergeConfig(
  suite,
  defineConfig({ plugins: [built], test: { exclude: needingSources, setupFiles: 'test/support/take-coverage.ts' } }),
);
