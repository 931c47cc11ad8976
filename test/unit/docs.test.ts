/** The documents name what exists: files, commands, and the names that code has. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const DOCUMENTS = [
  ...filesIn('.', /\.md$/, false),
  ...filesIn('docs', /\.md$/, true).filter((file) => !file.startsWith('docs/api/')), // those are built
  'bench/README.md',
  'src/redis/scripts/README.md',
] as const;

/** Files of the walkthroughs, which a newcomer would write. */
const IMAGINED = new Set(['src/cli/drain.ts', 'src/redis/scripts/touch.lua']);
/** Names of others. */
const FOREIGN = new Set([
  ...['OpenTelemetry', 'TypeScript', 'ElastiCache', 'AmazonElastiCache', 'RedisConfiguration', 'NoEviction'],
  ...['PodDisruptionBudget', 'DatabaseType'],
]);

test('documents link to files that exist', () => {
  const missing = inEach(/\]\(([^)#]+)(?:#[^)]*)?\)/g, (target, document) => {
    return /^https?:/.test(target) || existsSync(join(ROOT, dirname(document), target));
  });
  expect(missing).toEqual([]);
});

test('documents link to headings that exist', () => {
  const missing = inEach(/\]\(([^)\s]*#[^)\s]+)\)/g, (link, document) => {
    const [path, anchor] = link.split('#') as [string, string];
    if (/^https?:/.test(path)) return true;
    const target = path === '' ? document : join(dirname(document), path);
    return !target.endsWith('.md') || !existsSync(join(ROOT, target)) || anchorsOf(read(target)).has(anchor);
  });
  expect(missing).toEqual([]);
});

test('documents name files that exist', () => {
  const missing = inEach(/`([a-z]+\/[\w./-]+\.(?:js|lua|md|ts|yaml))`/g, (path) => {
    return IMAGINED.has(path) || ['', 'src', 'src/redis', 'src/cli'].some((room) => existsSync(join(ROOT, room, path)));
  });
  expect(missing).toEqual([]);
});

test('documents name commands that exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: object };
  const missing = inEach(/\bnpm run (?:--\w+ |-\w )*([\w:]+)/g, (command) => Object.hasOwn(scripts, command));
  expect(missing).toEqual([]);
});

test('how docket is built is told with the names that code has', () => {
  const code = [...filesIn('src', /\.ts$/, true), 'docker/alert-rules.yaml'].map(read).join('\n');
  const documents = DOCUMENTS.filter((document) => /ARCHITECTURE|CONTRIBUTING|^docs(?!\/migrating)/.test(document));
  const names = new Set(documents.flatMap((document) => matches(document, /\b([A-Z][a-z]+(?:[A-Z][a-z]+)+)\b/g)));
  expect([...names].filter((name) => !FOREIGN.has(name) && !new RegExp(`\\b${name}\\b`).test(code))).toEqual([]);
});

/** What a pattern finds in the documents and is not right, with the document. */
function inEach(pattern: RegExp, isRight: (found: string, document: string) => boolean): string[] {
  return DOCUMENTS.flatMap((document) =>
    matches(document, pattern)
      .filter((found) => !isRight(found, document))
      .map((found) => `${document}: ${found}`),
  );
}

/** The anchors of the headings, as forges make them. */
function anchorsOf(text: string): Set<string> {
  const headings = text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm);
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
  return new Set(Array.from(headings, ([, heading]) => slug(heading!)));
}

function matches(document: string, pattern: RegExp): string[] {
  return Array.from(read(document).matchAll(pattern), (match) => match[1]!);
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

function filesIn(folder: string, pattern: RegExp, recursive: boolean): string[] {
  const files = readdirSync(join(ROOT, folder), { recursive, encoding: 'utf8' });
  return files.filter((file) => pattern.test(file)).map((file) => join(folder, file));
}
