/** The code of the documents that stands alone runs: each page is one process, with its blocks one after the other. */
import { cpSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { runModule } from '../support/child.js';
import { type Block, blocksOf, USER_DOCUMENTS } from '../support/documents.js';
import { installInto } from '../support/installed.js';
import { describeOnRedis } from '../support/suites.js';

const RUNTIME = fileURLToPath(new URL('../fixtures/documents/runtime.js', import.meta.url));
/** These need another server, package or file, never end, or are run by the test of the quick starts. */
const APART =
  /'bullmq'|'express'|'hono'|'@hono|express\(\)|Hono\(\)|runForever|sentinel|onlyForOperators|import type|redis:\/\/localhost|DOCKET_URL|dist\/tasks/;

function isRun({ language, code, document }: Block): boolean {
  return language === 'ts' && !APART.test(code) && document !== 'README.md';
}

const PAGES = USER_DOCUMENTS.filter((document) => blocksOf(document).some(isRun));

describeOnRedis('the code of the documents:', (url) => {
  test.each(PAGES)('%s runs', { timeout: 180_000 }, async (document) => {
    const folder = mkdtempSync(join(tmpdir(), 'documented-'));
    installInto(folder);
    cpSync(RUNTIME, join(folder, 'runtime.js'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    const files = blocksOf(document)
      .filter(isRun)
      .map((block) => writeBlock(block, folder));
    const { code, stderr } = await runModule(
      `
        import { close } from './runtime.js';
        for (const file of ${JSON.stringify(files)}) {
          await import('./' + file).catch((error) => console.error(file, error));
        }
        await close();
      `,
      { DOCKET_URL: url(), DOCKET_NAME: document.replace(/\W/g, '-') },
      folder,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

function writeBlock(block: Block, folder: string): string {
  const file = block.file?.replace(/\.ts$/, '.js') ?? `line-${block.line}.js`;
  const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
  writeFileSync(join(folder, file), ts.transpileModule(block.code, { compilerOptions: options }).outputText);
  return file;
}
