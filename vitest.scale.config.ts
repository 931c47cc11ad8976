/**
 * The suites as `npm run test:scale` runs them: files of `test/behaviour` that usually run on one server, with four partitions in
 * each docket. `DOCKET_TEST_TARGET` says where: `partitions` is one server, `cluster` a cluster of three masters.
 *
 * A file is in the list because what it holds depends on where executions are. Tests that are not about that, or look at one
 * server, are left out by name, each with the reason; they count as skipped.
 */
import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import suite from './vitest.config.js';

/** Tests that are left out of a file, and why. */
type LeftOut = Readonly<Record<string, string>>;

const FILES: Readonly<Record<string, LeftOut>> = {
  'cancel.test.ts': {
    'a queued execution keeps later workers from running it, and nothing else':
      'all partitions remember an id without a record, and only the one that meets it forgets it before it expires',
    'before the claim is confirmed is not forgotten': 'it publishes on the channel of one partition',
  },
  'cancel-many.test.ts': {},
  'keys.test.ts': {},
  'limits/concurrency.test.ts': {},
};

const pathOf = (file: string) => `test/behaviour/${file}`;
const escaped = (text: string) => text.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&');

const leftOut = Object.entries(FILES).flatMap(([file, tests]) => {
  const source = readFileSync(new URL(pathOf(file), import.meta.url), 'utf8');
  for (const name of Object.keys(tests)) if (!source.includes(name)) throw new Error(`${file} has no test '${name}'`);
  return Object.keys(tests);
});

const { projects: _, ...test } = suite.test!;

export default defineConfig({
  ...suite,
  test: {
    ...test,
    include: Object.keys(FILES).map(pathOf),
    testNamePattern: new RegExp(`^(?!.*(?:${leftOut.map(escaped).join('|')})$)`),
    isolate: false,
    globalSetup: 'test/support/temporary.ts',
  },
});
