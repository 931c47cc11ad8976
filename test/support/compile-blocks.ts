/**
 * Type-checks the code of documents. Each block is a module in a folder of its document, so blocks that name their files can
 * import each other. Blocks leave out what a reader knows: the exports of docket are there without an import, and so are the
 * names in `fixtures/documents/names.d.ts`.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import type { Block } from './documents.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NAMES = join(ROOT, 'test/fixtures/documents/names.d.ts');
const EXPORTS = join(ROOT, 'test/fixtures/documents/exports.d.ts');

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
  types: ['node'],
  typeRoots: [join(ROOT, 'node_modules/@types')],
  strict: true,
  moduleDetection: ts.ModuleDetectionKind.Force,
  skipLibCheck: true,
  allowJs: true,
  checkJs: true,
  noEmit: true,
};

/** The problems that the compiler finds in the blocks, as `document:line: message`. */
export function problemsOf(blocks: readonly Block[], exported: readonly string[]): string[] {
  const files = new Map<string, { readonly text: string; readonly block: Block | null }>();
  const declarations = exported.map((name) => `declare const ${name}: typeof import('docket').${name};\n`);
  files.set(EXPORTS, { text: declarations.join(''), block: null });
  for (const block of blocks) {
    if (files.has(pathOf(block))) return [`${block.document}:${block.line}: two blocks are named ${block.file}`];
    files.set(pathOf(block), { text: block.code, block });
  }
  const host = ts.createCompilerHost(OPTIONS);
  const real = { ...host };
  const folders = new Set(Array.from(files.keys(), dirname));
  host.directoryExists = (path) => folders.has(path) || real.directoryExists!(path);
  host.fileExists = (path) => files.has(path) || real.fileExists(path);
  host.readFile = (path) => files.get(path)?.text ?? real.readFile(path);
  host.getSourceFile = (path, options, ...rest) => {
    const known = files.get(path);
    if (!known && path !== NAMES) return real.getSourceFile(path, options, ...rest);
    const settings = typeof options === 'object' ? { ...options } : { languageVersion: options };
    // What the two files declare is there for all blocks: they are scripts, not modules.
    if (!known?.block) delete settings.setExternalModuleIndicator;
    return ts.createSourceFile(path, known?.text ?? readFileSync(path, 'utf8'), settings, true);
  };
  const program = ts.createProgram([...files.keys(), NAMES], OPTIONS, host);
  return ts.getPreEmitDiagnostics(program).flatMap(({ file, start, messageText, code }) => {
    const block = file && files.get(file.fileName)?.block;
    const message = ts.flattenDiagnosticMessageText(messageText, '\n').split('\n').slice(0, 3).join(' ');
    if (!file || !block) return [`${file?.fileName}: ${message}`];
    if (block.language === 'js' && WITHOUT_TYPES.has(code)) return [];
    return [`${block.document}:${block.line + file.getLineAndCharacterOfPosition(start!).line}: ${message}`];
  });
}

/** What the compiler says of code that has no types to write: parameters of type any, and fields of arguments. */
const WITHOUT_TYPES: ReadonlySet<number> = new Set([2339, 7005, 7006, 7031, 7034]);

function pathOf(block: Block): string {
  const folder = block.document.replace(/\.md$/, '').replaceAll('/', '-');
  const file = block.file ?? `block-${block.line}.${block.language}`;
  return join(ROOT, 'test/fixtures/documents', folder, file);
}
