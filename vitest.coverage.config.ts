/**
 * The suite as `npm run test:coverage` runs it. Unit tests, too, meet the built package, so that Node's own coverage
 * (`NODE_V8_COVERAGE`) sees everything in one form: test processes, worker threads and child processes. Source maps lead
 * back to the lines of `src`.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig, type Plugin } from 'vitest/config';
import { needsSources } from './test/support/needs-sources.js';
import suite from './vitest.config.js';

const BUILT = fileURLToPath(new URL('./dist/src', import.meta.url));
const SOURCE = /^(?:\.\.\/)+src\/(.+)$/;

const built: Plugin = {
  name: 'built',
  enforce: 'pre',
  resolveId(source, importer) {
    const path = SOURCE.exec(source)?.[1];
    return path && importer && !needsSources(importer) ? join(BUILT, path) : null;
  },
};

export default mergeConfig(
  suite,
  defineConfig({ plugins: [built], test: { setupFiles: 'test/support/take-coverage.ts' } }),
);
