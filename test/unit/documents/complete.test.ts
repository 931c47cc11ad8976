/** Whatever users can set, meet or scrape has its place in the documents. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { docketCommand } from '../../../src/cli/docket.js';
import { metricsRoutes } from '../../../src/observe/metrics.js';
import { TaskCounters } from '../../../src/observe/task-counters.js';
import { blocksOf, readDocument, USER_DOCUMENTS } from '../../support/documents.js';
import { Exposition } from '../../support/exposition.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** All code in the documents: spans and blocks. */
const CODE = USER_DOCUMENTS.map(readDocument)
  .flatMap((text) => [...text.matchAll(/```[\s\S]*?```|`[^`]+`/g)])
  .join('\n');

function sources(): string[] {
  const files = readdirSync(`${ROOT}/src`, { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => file.endsWith('.ts') && !file.includes('generated'))
    .map((file) => `${ROOT}/src/${file}`);
}

function isDocumented(name: string): boolean {
  return new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(CODE);
}

/** Whether a line calls a command of docket that exists, with flags that it has. */
function isCommand(line: string): boolean {
  const [name, ...words] = line
    .replace(/^\$ /, '')
    .replace(/^npx /, '')
    .replace(/\s#.*$/, '')
    .split(/\s+/);
  const program = docketCommand() as unknown as Command;
  let command = name === 'docket-worker' ? program.commands.find((one) => one.name() === 'worker')! : program;
  const flags = new Set(program.options.map(({ long }) => long));
  for (const word of words) {
    const subcommand = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (subcommand) command = subcommand;
    for (const { long } of command.options) flags.add(long);
    if (command === program && !word.startsWith('-')) return false;
    if (word.startsWith('--') && word !== '--help' && !flags.has(word.split('=')[0])) return false;
  }
  return true;
}

test('every error code and every code of a warning has a section, and no section is about another one', () => {
  const found = sources().flatMap((file) => [
    ...readFileSync(file, 'utf8').matchAll(/\bcode(?: =|:) '(DOCKET_[A-Z_]+)'/g),
  ]);
  const codes = new Set(found.map(([, code]) => code));
  const page = readDocument('docs/troubleshooting.md');
  const sections = Array.from(page.matchAll(/^### (DOCKET_\w+)$/gm), ([, code]) => code);
  expect(codes.size).toBeGreaterThan(30);
  expect(sections.toSorted()).toEqual([...codes].sort());
});

test('every section about an error names its class, why it happens, and what to do', () => {
  const sections = readDocument('docs/troubleshooting.md').split(/^##+ /m);
  const errors = sections.filter((section) => section.startsWith('DOCKET_'));
  for (const section of errors) {
    expect(section).toMatch(/^DOCKET_\w+\n\n[\s\S]+\n\n\*\*Why\*\*: .+\n\n\*\*What to do\*\*: /);
  }
});

test('the reference of the command line is what the commands say', async () => {
  const check = promisify(execFile)(process.execPath, ['tools/cli-reference.js', '--check'], { cwd: ROOT });
  await expect(check).resolves.toEqual({ stdout: '', stderr: '' });
});

test('every flag, variable and command is documented', () => {
  const commands: Command[] = [];
  const walk = (command: Command) => void [commands.push(command), command.commands.forEach(walk)];
  walk(docketCommand() as unknown as Command);
  const names = commands.flatMap(({ options }) =>
    options.flatMap(({ long, envVar }) => [long ?? [], envVar ?? []].flat()),
  );
  const read = sources().flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/process\.env\.(DOCKET_\w+)/g)]);
  const all = new Set([...names, ...read.map(([, name]) => name!), 'DOCKET_CONNECTION']);
  all.delete('--version');
  expect(all.size).toBeGreaterThan(60);
  expect([...all].filter((name) => !isDocumented(name))).toEqual([]);
});

test('the commands that the documents show exist, with their flags', () => {
  const lines = USER_DOCUMENTS.flatMap(blocksOf)
    .filter(({ language }) => language === 'sh' || language === 'console')
    .flatMap(({ document, code }) => code.split('\n').map((line) => ({ document, line })))
    .filter(({ line }) => /^(?:\$ )?(?:npx )?docket(?:-worker)? /.test(line) && !line.includes('[options]'));
  expect(lines.length).toBeGreaterThan(40);
  expect(lines.filter(({ line }) => !isCommand(line))).toEqual([]);
});

test('every metric is documented', async () => {
  const counters = new TaskCounters();
  counters.addTasks(['t']);
  const gauges = new Proxy({}, { get: (_, name) => (name === 'then' ? undefined : 1) });
  const routes = metricsRoutes({
    docket: 'd',
    version: '1.2.3',
    worker: 'w',
    counters,
    onThreads: () => new Map(),
    threads: () => 1,
    strikes: () => 0,
    pauses: () => 0,
    partitions: () => [],
    disruptions: () => ({}),
    loopDelay: () => ({ p50Ms: 0, p99Ms: 1, maxMs: 2, totalMs: 3, count: 4 }),
    gauges: async () => gauges as never,
  });
  const { families } = new Exposition((await routes.get('/metrics')!()).body);
  const names = [...families.keys()].filter((name) => name.startsWith('docket_'));
  expect(names.length).toBeGreaterThan(25);
  expect(names.filter((name) => !isDocumented(name))).toEqual([]);
});

test('every field of the options that the package exports is documented', { timeout: 180_000 }, () => {
  const entries = ['index', 'worker/index', 'dashboard/index'].map((entry) => `${ROOT}/src/${entry}.ts`);
  const program = ts.createProgram(entries, {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    strict: true,
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [`${ROOT}/node_modules/@types`],
  });
  const checker = program.getTypeChecker();
  const missing: string[] = [];
  let seen = 0;
  for (const entry of entries) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(entry)!)!;
    for (const exported of checker.getExportsOfModule(module)) {
      if (!/(?:Options|Option|Overrides|Filter)$/.test(exported.name)) continue;
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      for (const field of checker.getDeclaredTypeOfSymbol(symbol).getProperties()) {
        seen += 1;
        if (!isDocumented(field.name)) missing.push(`${exported.name}.${field.name}`);
      }
    }
  }
  expect(seen).toBeGreaterThan(80);
  expect(missing).toEqual([]);
});
