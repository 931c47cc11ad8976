/** Runs code in a process of its own, for what is about the life of a process. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The folder of the package, so that the code finds `docket` by its name. */
const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Runs an ES module given as text; a module that does not end by itself within 20 s is killed, which `signal` shows.
 * @param folder - where it finds the packages that it imports
 */
export async function runModule(
  code: string,
  environment: NodeJS.ProcessEnv = {},
  folder: string = PACKAGE,
): Promise<Ended> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: folder,
    env: { ...process.env, NODE_OPTIONS: '', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  const output = Promise.all([text(child.stdout), text(child.stderr)]);
  const [exitCode, signal] = await once(child, 'exit');
  const [stdout, stderr] = await output;
  return { code: exitCode, signal, stdout, stderr };
}
