/** Runs the executable `docket` as a shell does: with pipes, or on a terminal of its own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { waitFor } from './wait.js';

const COMMAND = fileURLToPath(new URL('../../bin/docket.js', import.meta.url));

/** A process of `docket`. */
export interface Shell {
  readonly process: ChildProcess;
  /** What it has written to stdout so far; on a terminal, stderr too. */
  output(): string;
  /** Lines of stdout that have ended. */
  lines(): string[];
  errors(): string;
  /** Waits until the output matches. */
  shows(pattern: RegExp): Promise<string>;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/** What a process of `docket` left. */
export interface Finished {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

type Environment = Readonly<Record<string, string>>;

/** Starts `docket` with pipes, and nothing on stdin. */
export function startDocket(args: readonly string[], env: Environment = {}): Shell {
  return start(process.execPath, [COMMAND, ...args], env, 'ignore');
}

/** Runs it to its end. */
export async function runDocket(args: readonly string[], env: Environment = {}): Promise<Finished> {
  return await finished(startDocket(args, env));
}

/** Waits for the end of it. */
export async function finished(shell: Shell): Promise<Finished> {
  const { code } = await shell.ended;
  return { code, output: shell.output(), errors: shell.errors() };
}

/** Whether there is `script` of util-linux, which gives a command a terminal. */
export const hasTerminal: boolean =
  process.platform === 'linux' &&
  (process.env.PATH ?? '').split(delimiter).some((folder) => isFile(join(folder, 'script')));

/** Starts it on a terminal; what is typed goes to `process.stdin`. */
export function startOnTerminal(args: readonly string[], env: Environment = {}): Shell {
  const quoted = [process.execPath, COMMAND, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
  return start('script', ['-qefc', quoted.join(' '), '/dev/null'], env, 'pipe');
}

function start(command: string, args: readonly string[], env: Environment, stdin: 'ignore' | 'pipe'): Shell {
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(DOCKET_|NO_COLOR$|FORCE_COLOR$)/.test(name)),
  );
  const child = spawn(command, args, { stdio: [stdin, 'pipe', 'pipe'], env: { ...inherited, ...env } });
  onTestFinished(() => void child.kill('SIGKILL'));
  let [output, errors] = ['', ''];
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  return {
    process: child,
    output: () => output,
    lines: () => output.split('\n').slice(0, -1),
    errors: () => errors,
    async shows(pattern) {
      return (await waitFor(() => pattern.exec(output)?.[0], { timeoutMs: 20_000 }).catch((cause: unknown) => {
        throw new Error(`${pattern} was not shown, but:\n${output}\n${errors}`, { cause });
      })) as string;
    },
    ended: once(child, 'close').then(([code, signal]) => ({ code, signal })),
  };
}

function isFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
