/** What is in `dist`, for those who compile against it, bundle it or debug it. */
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

test('the source maps carry their sources, which are not published', () => {
  const maps = readdirSync(DIST, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js.map'));
  expect(maps).toContain('index.js.map');
  const bare = maps.filter((name) => {
    const { sources, sourcesContent } = JSON.parse(readFileSync(new URL(name, DIST), 'utf8'));
    return sourcesContent?.length !== sources.length || sourcesContent.includes(null);
  });
  expect(bare).toEqual([]);
});

test('the Redis client is imported by its default export, since bundlers find no other names in it on demand', () => {
  const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
  const imports = files.flatMap((name) => {
    const code = readFileSync(new URL(name, DIST), 'utf8');
    return [...code.matchAll(/const \{ ([\w: ]+) \} = await import\('ioredis'\)/g)].map(([, names]) => names);
  });
  expect(imports.length).toBeGreaterThan(0);
  for (const names of imports) expect(names).toMatch(/^default: \w+$/);
});
