/** The page of guarantees promises nothing without a test that shows it. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readDocument } from '../../support/documents.js';
import { titlesIn } from '../../support/titles.js';

const PAGE = readDocument('docs/guarantees.md');
const DOCS = fileURLToPath(new URL('../../../docs/', import.meta.url));

/** The tests that the page names, by the names of the links. */
const SHOWN = new Map(
  Array.from(PAGE.matchAll(/^\[(t\d+)\]: (\.\.\/test\/\S+\.test\.ts) "(.+)"$/gm), ([, name, file, title]) => [
    name!,
    { file: file!, title: title! },
  ]),
);

/** The items of the lists under a heading, and the rows of its table without the head. */
function itemsUnder(heading: string): string[] {
  const section = new RegExp(`^## ${heading}\\n([\\s\\S]*?)(?=^## |^\\[t1\\])`, 'm').exec(PAGE)?.[1] ?? '';
  return section.split(/\n(?=- )/).flatMap((part) => (part.startsWith('- ') ? [part.split('\n\n')[0]!] : []));
}

test('each test that the page of guarantees names exists under that title', () => {
  const missing = [...SHOWN.values()].filter(({ file, title }) => {
    const path = `${DOCS}${file}`;
    return !existsSync(path) || !titlesIn(path).has(title);
  });
  expect(missing).toEqual([]);
  expect(SHOWN.size).toBeGreaterThan(40);
});

test('every link of the page to a test leads to one, and each test is linked', () => {
  const linked = new Set(Array.from(PAGE.matchAll(/\]\[(t\d+)\]/g), ([, name]) => name!));
  expect([...linked].sort()).toEqual([...SHOWN.keys()].sort());
  for (const [, number, name] of PAGE.matchAll(/\[\[(\d+)\]\]\[(t\d+)\]/g)) expect(name).toBe(`t${number}`);
});

test('everything under the heading Promised names a test', () => {
  const items = itemsUnder('Promised');
  expect(items.length).toBeGreaterThan(15);
  expect(items.filter((item) => !/\]\[t\d+\]/.test(item))).toEqual([]);
});

test('what is not promised is said of each kind of duplicate and loss', () => {
  const items = itemsUnder('Not promised').join('\n');
  for (const subject of [
    'after a lost lease',
    'after a cancel',
    'without `durability`',
    'while executions move',
    'Order',
    'Every event',
  ]) {
    expect(items).toContain(subject);
  }
});
