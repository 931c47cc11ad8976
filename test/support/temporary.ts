/**
 * Global set-up: gives the whole run one temporary folder, and removes it afterwards, since test processes are ended by a
 * signal and clean up nothing. Says what the run leaves out.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NO_REDIS, REDIS_BINARY } from './redis-binary.js';

const PREFIX = 'docket-tests-';

export default function setup(): () => void {
  if (process.env.TMPDIR?.includes(PREFIX)) return () => {}; // another project of this run has made it
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  process.env.TMPDIR = folder;
  return () => {
    rmSync(folder, { recursive: true, force: true });
    if (REDIS_BINARY !== null || process.env.CI) return;
    console.warn(`\n${NO_REDIS}: suites that need a real Redis were left out, the others ran on the embedded server.`);
  };
}
