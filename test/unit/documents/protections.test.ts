/** The list of protections names code that is there, and for each a test that misses it. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readDocument } from '../../support/documents.js';
import { titlesIn } from '../../support/titles.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The rows of the tables: what is protected, the file and the code that do it, and the file and the title of a test. */
const ROWS = Array.from(
  readDocument('test/protections.md').matchAll(/^\| (.+?) \| (\S+): `(.+)` \| (\S+\.test\.ts): (.+) \|$/gm),
  ([, what, file, code, testFile, title]) => ({
    what,
    file: `src/${file}`,
    code: code!.replaceAll('\\|', '|'),
    testFile: `test/${testFile}`,
    title: title!,
  }),
);

test('each protection of the list is in the code, once', () => {
  const missing = ROWS.filter(({ file, code }) => {
    const path = `${ROOT}${file}`;
    return !existsSync(path) || readFileSync(path, 'utf8').split(code).length !== 2;
  });
  expect(missing).toEqual([]);
});

test('each test that the list of protections names exists under that title', () => {
  const missing = ROWS.filter(({ testFile, title }) => {
    const path = `${ROOT}${testFile}`;
    return !existsSync(path) || !titlesIn(path).has(title);
  });
  expect(missing).toEqual([]);
});

test('each row of the list of protections is read', () => {
  const lines = readDocument('test/protections.md').split('\n');
  const rows = lines.filter((line) => line.startsWith('| ') && !line.startsWith('| what') && !line.startsWith('| ---'));
  expect(ROWS).toHaveLength(rows.length);
  expect(rows.length).toBeGreaterThan(40);
});
