import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const DIST = new URL('../../dist/src/', import.meta.url);
/** Binary types that got a type parameter with TypeScript 5.7. */
const GENERIC = /\b(?:Buffer|DataView|\w+Array)<(?:ArrayBuffer|SharedArrayBuffer|ArrayBufferLike)>/;

test('the declarations can be read by TypeScript before 5.7, which knows no generic typed arrays', () => {
  const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.d.ts'));
  expect(files).toContain('index.d.ts');
  expect(files.filter((name) => GENERIC.test(readFileSync(new URL(name, DIST), 'utf8')))).toEqual([]);
});
