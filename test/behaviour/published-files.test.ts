/** What is in `dist`, for those who compile against it, bundle it or debug it. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
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

test('files of the package are named in one module only, in a form that bundlers do not follow', () => {
  const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
  const withoutComments = (name: string) => readFileSync(new URL(name, DIST), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  const naming = files.filter((name) => !name.startsWith('cli/') && withoutComments(name).includes('import.meta'));
  expect(naming).toEqual(['core/own-files.js']);
  expect(withoutComments('core/own-files.js')).not.toMatch(/new URL\([^;]*import\.meta/);
});

test('the page of the dashboard is small, and refers to nothing outside it', () => {
  const page = new URL('dashboard/page/', DIST);
  const files = readdirSync(page, { recursive: true, encoding: 'utf8' }).filter((name) => /\.\w+$/.test(name));
  expect(files).toContain('index.html');
  const contents = files.map((name) => readFileSync(new URL(name, page)));
  const bytes = contents.reduce((sum, content) => sum + gzipSync(content).length, 0);
  expect(bytes).toBeLessThan(80_000);
  const html = readFileSync(new URL('index.html', page), 'utf8');
  const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link);
  expect(links.length).toBeGreaterThan(2);
  expect(links.filter((link) => !link!.startsWith('./assets/'))).toEqual([]);
  expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\bon\w+=|\bstyle=/);
});

test('the tarball stays within its budget, and has what the commands read', { timeout: 180_000 }, () => {
  const written = execFileSync('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'], { encoding: 'utf8' });
  const [packed] = Object.values(JSON.parse(written)) as {
    size: number;
    unpackedSize: number;
    files: { path: string }[];
  }[];
  const paths = packed!.files.map(({ path }) => path);
  expect(packed!.size).toBeLessThan(2_200_000);
  expect(packed!.unpackedSize).toBeLessThan(9_100_000);
  for (const entry of ['index', 'worker/index', 'dashboard/index', 'testing/index'])
    expect(paths).toEqual(expect.arrayContaining(['.js', '.d.ts'].map((end) => `dist/cjs/${entry}${end}`)));
  for (const path of ['bin/docket.js', 'templates/init/shared/gitignore', 'templates/init/typescript/tasks-test.ts']) {
    expect(paths).toContain(path);
  }
  expect(paths.filter((path) => /^(?:src|test|tools|bench|examples)\/|\.tsbuildinfo$|\.tgz$/.test(path))).toEqual([]);
});

test('each source map that is published belongs to a file that is published, and each file names its own', () => {
  const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' });
  const maps = files.filter((name) => name.endsWith('.map'));
  expect(maps.filter((name) => !files.includes(name.replace(/\.map$/, '')))).toEqual([]);
});
