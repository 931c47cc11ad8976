/** Divides the docket of the bench into partitions, as an operator does. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DOCKET } from '../peers/names.js';

const COMMAND = fileURLToPath(new URL('../../../bin/docket.js', import.meta.url));

interface Shown {
  readonly all: readonly { readonly tag: string }[];
}

/** Gives the docket this many partitions. Returns their hash tags, with the braces. */
export async function divide(url: string, partitions: number): Promise<string[]> {
  const args = [COMMAND, 'partitions', String(partitions), '--json', '--url', url, '--docket', DOCKET];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return (JSON.parse(stdout) as Shown).all.map(({ tag }) => hashTagOf(tag));
}

/** Returns the hash tag of a partition, with the braces. On one server, the tags are the numbers. */
export function hashTagOf(tag: string): string {
  return tag === '' || tag === '0' ? `{${DOCKET}}` : `{${DOCKET}/${tag}}`;
}
