/** The documents that users read, and the code in them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** README and the pages of `docs`, by their paths from the root. */
export const USER_DOCUMENTS: readonly string[] = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'), { encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];

/** A fenced block of a document. */
export interface Block {
  readonly document: string;
  /** The line of the document on which its code begins. */
  readonly line: number;
  /** What its fence names, such as `ts`. */
  readonly language: string;
  readonly code: string;
  /** The file that its first line names, as in `// tasks.ts`; `null` for none. */
  readonly file: string | null;
}

export function readDocument(document: string): string {
  return readFileSync(join(ROOT, document), 'utf8');
}

/** The blocks of a document, in order. */
export function blocksOf(document: string): Block[] {
  const text = readDocument(document);
  return Array.from(text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm), ({ index, 1: language, 2: code }) => ({
    document,
    line: text.slice(0, index).split('\n').length + 1,
    language: language!,
    code: code!,
    file: /^\/\/ ([\w-]+\.(?:ts|js|cjs|mjs))\n/.exec(code!)?.[1] ?? null,
  }));
}
