/**
 * Global set-up: gives the whole run one temporary folder, and removes it afterwards. Test processes are ended by a
 * signal, so that nothing they would remove on exit is.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'docket-tests-'));
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
