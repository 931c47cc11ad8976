/**
 * Lint refuses every import that ARCHITECTURE.md does not allow: its table of rooms is read here, and each import it leaves
 * out is tried, in files at different depths. One run of Biome over a copy of its settings and those files tells.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BIOME = join(ROOT, 'node_modules/.bin/biome');

/** What lint exempts: `threads: 0` runs tasks in the coordinator's own thread. */
const LOCAL_THREAD = 'src/worker/threads/local-thread.ts';
/** Built into the package instead of being a dependency (`src/wire/vendor-msgpackr.js`). */
const BUNDLED = 'msgpackr';
/** Files of an allowed room that are forbidden all the same. */
const NOT_IN_THE_COORDINATOR = ['tasks/loader.js', 'tasks/builtin.js'];

interface Room {
  readonly name: string;
  /** The rooms it may import. */
  readonly rooms: readonly string[];
  /** The packages it may import. */
  readonly packages: readonly string[];
}

/** A row of the table in ARCHITECTURE.md: `| room | holds | imports | packages |`. */
const ROW = /^\| `(\w+)` +\|[^|]*\|([^|]*)\|([^|]*)\|$/gm;

const table: readonly Room[] = Array.from(
  readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8').matchAll(ROW),
  ([, name, rooms, packages]) => ({ name: name!, rooms: listOf(rooms!), packages: listOf(packages!) }),
);
const names = table.map(({ name }) => name);
const packages = [...new Set(table.flatMap((room) => room.packages))];

test('the table has every room of src, and every package that src may import', () => {
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect([...names].sort()).toEqual(folders.map(({ name }) => name).sort());
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  expect([...packages].sort()).toEqual([...Object.keys({ ...dependencies, ...peerDependencies }), BUNDLED].sort());
});

test('lint refuses the imports that the table does not allow, and no others', () => {
  const tried = new Map<string, readonly string[]>();
  const expected = new Map<string, readonly string[]>();
  for (const room of table) {
    for (const file of [`src/${room.name}/probe.ts`, `src/${room.name}/inner/deep/probe.ts`]) {
      const others = names.filter((name) => name !== room.name && !room.rooms.includes(name));
      const forbidden = [
        ...others.flatMap((name) => [`src/${name}/probe.js`, `src/${name}/inner/probe.js`]),
        ...(room.name === 'worker' ? NOT_IN_THE_COORDINATOR.map((path) => `src/${path}`) : []),
        ...packages.filter((name) => !room.packages.includes(name)),
      ];
      const allowed = [...room.rooms.map((name) => `src/${name}/probe.js`), `src/${room.name}/x.js`, ...room.packages];
      tried.set(file, [...allowed, ...forbidden]);
      expected.set(file, forbidden.sort());
    }
  }
  tried.set(LOCAL_THREAD, ['src/thread/executor.js', 'src/tasks/loader.js']);
  expected.set(LOCAL_THREAD, []);

  expect(refused(tried)).toEqual(expected);
});

/** Lints files that import these targets, paths or packages, and returns the targets that are refused. */
function refused(imports: ReadonlyMap<string, readonly string[]>): Map<string, string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'docket-layers-'));
  copyFileSync(join(ROOT, 'biome.json'), join(folder, 'biome.json'));
  for (const [file, targets] of imports) {
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    writeFileSync(join(folder, file), targets.map((target, i) => `${statement(file, target, i)}\n`).join(''));
  }
  const result = new Map(Array.from(imports.keys(), (file) => [file, [] as string[]]));
  for (const { location, category } of lint(folder)) {
    if (category !== 'lint/style/noRestrictedImports') continue;
    result.get(location.path)!.push(imports.get(location.path)![location.start.line - 1]!);
  }
  for (const targets of result.values()) targets.sort();
  return result;
}

/** The import on one line, in one of the forms it can have. */
function statement(file: string, target: string, index: number): string {
  const from = target.startsWith('src/') ? pathFrom(dirname(file), target) : target;
  const forms = [
    `import { x${index} } from '${from}';`,
    `import type { X${index} } from '${from}';`,
    `export * from '${from}';`,
    `await import('${from}');`,
  ];
  return forms[index % forms.length]!;
}

function pathFrom(folder: string, file: string): string {
  const path = relative(folder, file);
  return path.startsWith('.') ? path : `./${path}`;
}

interface Diagnostic {
  readonly category: string;
  readonly location: { readonly path: string; readonly start: { readonly line: number } };
}

function lint(folder: string): readonly Diagnostic[] {
  const flags = [
    '--only=style/noRestrictedImports',
    '--vcs-enabled=false',
    '--reporter=json',
    '--max-diagnostics=none',
  ];
  try {
    execFileSync(BIOME, ['lint', ...flags, '.'], { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
  } catch (error) {
    return JSON.parse(String((error as { stdout: Buffer }).stdout)).diagnostics; // it ends with 1 when it has found any
  }
  return [];
}

function listOf(cell: string): string[] {
  return cell
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== 'nothing' && name !== 'none');
}
