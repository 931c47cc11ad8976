/** The schema against its users: every name is used, and no script goes around it. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as schema from '../../../src/redis/schema.js';

const source = new URL('../../../src/', import.meta.url);
const scripts = new URL('redis/scripts/', source);
const luaFiles = readdirSync(scripts).filter((file) => file.endsWith('.lua'));

// Plain JavaScript, because it runs before anything is compiled.
interface Substitution {
  luaNames(values: object): ReadonlyMap<string, string>;
  substitute(
    file: string,
    read: (file: string) => string,
    names: ReadonlyMap<string, string>,
    problems: string[],
  ): string;
}
const { luaNames, substitute }: Substitution = await import(new URL('substitute.js', scripts).href);
const names = luaNames(schema);

/** A Lua file without its comments. */
function codeOf(file: string): string {
  return readFileSync(new URL(file, scripts), 'utf8').replace(/--.*/g, '');
}

/** Groups of names, with the values by name. */
const groups = Object.entries<unknown>(schema).filter(
  (item): item is [string, Record<string, string | number>] => typeof item[1] === 'object' && !Array.isArray(item[1]),
);

describe('a name of the schema', () => {
  const lua = luaFiles.map(codeOf).join('\n');
  const typescript = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/schema\.ts$|\.generated\.ts$/.test(file))
    .map((file) => readFileSync(new URL(file, source), 'utf8'))
    .join('\n');
  const self = readFileSync(new URL('redis/schema.ts', source), 'utf8').replace(/^export const (\w+)/gm, '');
  const isNamed = (name: string, text: string) => new RegExp(`\\b${name.replace('.', '\\.')}\\b`).test(text);

  test.each(Object.keys(schema))('%s is used', (name) => {
    expect([lua, typescript, self].some((text) => isNamed(name, text))).toBe(true);
  });

  // Stages, placements and settlements are looked up by their kind, priorities and streams by theirs or by their letter.
  const LOOKED_UP = ['STAGE', 'PLACEMENT', 'SETTLEMENT_WIDTH', 'PRIORITY', 'STREAM_KEYS', 'TICKET_SHIFT'];
  const MEMBERS = groups.filter(([group]) => !LOOKED_UP.includes(group));
  test.each(MEMBERS)('of the group %s is used, each of them', (group, members) => {
    const unused = Object.keys(members).filter((name) => {
      if (group === 'KEY' || group === 'CHANNEL') {
        if (isNamed(`keys.${name}`, typescript)) return false;
      }
      if (group === 'PROGRESS' && isNamed('PROGRESS_FIELDS', lua)) return false;
      return ![lua, typescript, self].some((text) =>
        [name, snakeCase(name)].some((one) => isNamed(`${group}.${one}`, text)),
      );
    });
    expect(unused).toEqual([]);
  });

  test('is a different letter from the others of its hash, its stream or its argument', () => {
    const { message, due, ...parked } = schema.PARKED;
    expect([message, due]).toEqual([schema.ENTRY.message, schema.ENTRY.due]);
    for (const members of [...groups.map(([, members]) => members), { ...schema.RECORD, ...parked, message }]) {
      if (members === schema.SETTLEMENT_WIDTH) continue;
      const values = Object.values(members);
      expect(new Set(values).size).toBe(values.length);
    }
    const record = [schema.RECORD, schema.PROGRESS, parked].flatMap((fields) => Object.values<string>(fields));
    expect(new Set(record).size).toBe(record.length);
  });

  test('is never taken for a parked field in a record', () => {
    const fields = [schema.RECORD, schema.PROGRESS].flatMap((group) => Object.values<string>(group));
    expect(fields.filter((field) => field.startsWith(schema.PARKED_PREFIX))).toEqual([]);
  });

  test('is one letter in an entry, as its reader expects', () => {
    expect(Object.values<string>(schema.ENTRY).filter((field) => field.length !== 1)).toEqual([]);
  });
});

describe('a script', () => {
  test.each(luaFiles)('%s has no letter or suffix of its own', (file) => {
    const code = codeOf(file);
    expect(code.match(/'[a-z]'/g) ?? []).toEqual([]); // a letter
    expect(code.match(/\bprefix \.\. '/g) ?? []).toEqual([]); // a suffix
    expect(code.match(/\b(moving|moved|following)\.\w+/g) ?? []).toEqual([]); // a field
  });

  const embed = (files: Record<string, string>) => {
    const problems: string[] = [];
    const text = substitute('main.lua', (file) => files[file]!, names, problems);
    return { text, problems };
  };

  test('gets the values of names, and loses its comments', () => {
    const { text, problems } = embed({
      'main.lua': [
        '-- RECORD.no_such_name in a comment',
        '--',
        '--@include other',
        "redis.call('HGET', KEYS[1], RECORD.error_line) -- why",
        "redis.call('SET', 'ENTRY.key -- in a text', unpack(ARGV))",
        'moving[ENTRY.holds_permits] = STAGE.attempt_admitted',
      ].join('\n'),
      '_other.lua': '--\nlocal fields = { unpack(PROGRESS_FIELDS) }\n\nlocal bytes = BATCH_BYTES\n',
    });
    expect(problems).toEqual([]);
    expect(text.split('\n')).toEqual([
      "local fields = { 'i', 'j', 'o', 'u', 'v' }",
      'local bytes = 1048576',
      "redis.call('HGET', KEYS[1], 'y')",
      "redis.call('SET', 'ENTRY.key -- in a text', unpack(ARGV))",
      "moving['h'] = '3'",
    ]);
  });

  test('with a name that the schema does not have is reported, with file and line', () => {
    const { problems } = embed({
      'main.lua': '\n--@include other\nreturn RECORD.colour, NO_SUCH_LIMIT',
      '_other.lua': 'local one = 1\nlocal two = unpack(NO_SUCH_LIST)\nlocal three = ENTRY.holdsPermits',
    });
    expect(problems).toEqual([
      '_other.lua:2: schema.ts has no unpack(NO_SUCH_LIST)',
      '_other.lua:3: schema.ts has no ENTRY.holdsPermits',
      'main.lua:3: schema.ts has no RECORD.colour',
      'main.lua:3: schema.ts has no NO_SUCH_LIMIT',
    ]);
  });

  test('has each key and field in a table of the README', () => {
    const readme = readFileSync(new URL('README.md', scripts), 'utf8');
    const inTables = [...readme.matchAll(/^\| `([^`]*)` \| `([A-Z_]+\.[\w-]+)` \|/gm)].map(([, value, name]) => [
      name,
      value,
    ]);
    const described = ['KEY', 'CHANNEL', 'STREAM', 'LETTER', 'RECORD', 'PROGRESS', 'ENTRY', 'STAGE', 'PARKED'];
    const expected = groups
      .filter(([group]) =>
        [
          ...described,
          'PAUSE',
          'DEBOUNCE',
          'WORKER',
          'FAILURE',
          'FAILURE_KIND',
          'FAILURE_BOUNDS',
          'STRIKES',
          'PAUSES',
          'LAYOUT',
          'HISTORY',
          'TALLY',
        ].includes(group),
      )
      .flatMap(([group, members]) =>
        Object.entries(members).map(([name, value]) => [`${group}.${name}`, String(value).replace(/:$/, ':…') || ' ']),
      );
    expect(inTables.sort()).toEqual(expected.sort());
  });
});

/** The Lua spelling of a TypeScript name. */
function snakeCase(name: string): string {
  return name.replace(/-/g, '_').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
