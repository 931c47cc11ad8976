/**
 * Runs `docket` as a shell does: in a process with pipes, in one on a terminal, or in this very process, which takes a
 * hundredth of the time. What is about the executable itself, about signals or about a terminal needs a process.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { Console } from 'node:console';
import { once } from 'node:events';
import { delimiter, join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { importBuilt } from './built.js';
import { isExecutable } from './redis-binary.js';
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

/** Runs the executable in a process of its own, to its end. */
export async function spawnDocket(args: readonly string[], env: Environment = {}): Promise<Finished> {
  return await finished(startDocket(args, env));
}

/** Runs `docket` in this process, to its end. Nothing but `env` configures it. */
export async function runDocket(args: readonly string[], env: Environment = {}): Promise<Finished> {
  const { runDocketCommand } = await importBuilt<typeof import('../../src/cli/docket.js')>('cli/docket.js');
  return await runHere('docket', runDocketCommand, args, env);
}

/** Runs `docket-worker` in this process: for what ends before a worker starts. */
export async function runDocketWorker(args: readonly string[], env: Environment = {}): Promise<Finished> {
  const { runWorkerCommand } = await importBuilt<typeof import('../../src/cli/worker.js')>('cli/worker.js');
  const end = async (code: number) => {
    process.exitCode = code;
  };
  return await runHere('docket-worker', (argv) => runWorkerCommand(argv, end), args, env);
}

let lastRun: Promise<unknown> = Promise.resolve();

/** Runs a command after those that were asked for before: they have the streams and the exit code of the process. */
function runHere(
  name: string,
  run: (argv: readonly string[]) => Promise<void>,
  args: readonly string[],
  env: Environment,
): Promise<Finished> {
  const ended = lastRun.then(async () => {
    const [stdout, stderr] = [new Captured(), new Captured()];
    const argv = [process.execPath, name, ...args];
    const restore = replaceGlobals({ argv, stdout, stderr, env: { ...withoutSettings(process.env), ...env } });
    const forget = noteListeners();
    try {
      await run(argv);
      return { code: Number(process.exitCode ?? 0), output: stdout.text, errors: stderr.text };
    } finally {
      forget();
      restore();
    }
  });
  lastRun = ended.catch(() => {});
  return ended;
}

/** A stream that is no terminal, and keeps what it is given. */
class Captured extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

/** Gives this process other streams, arguments and variables, and no exit code; returns what undoes that. */
function replaceGlobals(given: { argv: string[]; stdout: Writable; stderr: Writable; env: object }): () => void {
  const { exitCode } = process;
  const before = Object.keys(given).map((name) => [name, Object.getOwnPropertyDescriptor(process, name)!] as const);
  const ownConsole = globalThis.console;
  for (const [name, value] of Object.entries(given)) {
    Object.defineProperty(process, name, { value, configurable: true, writable: true, enumerable: true });
  }
  globalThis.console = new Console(given.stdout, given.stderr);
  process.exitCode = undefined;
  return () => {
    for (const [name, descriptor] of before) Object.defineProperty(process, name, descriptor);
    globalThis.console = ownConsole;
    process.exitCode = exitCode;
  };
}

/** Events of the process to which commands listen until it ends. */
const HEARD = ['worker', 'SIGINT', 'SIGTERM'] as const;

/** Returns what removes the listeners that are added from now on: this process outlives the command. */
function noteListeners(): () => void {
  const before = HEARD.map((event) => new Set(process.rawListeners(event)));
  return () => {
    for (const [i, event] of HEARD.entries()) {
      for (const listener of process.rawListeners(event)) {
        if (!before[i]!.has(listener)) process.off(event, listener as () => void);
      }
    }
  };
}

/** Waits for the end of it. */
export async function finished(shell: Shell): Promise<Finished> {
  const { code } = await shell.ended;
  return { code, output: shell.output(), errors: shell.errors() };
}

/** Whether there is `script` of util-linux, which gives a command a terminal. */
export const hasTerminal: boolean =
  process.platform === 'linux' &&
  (process.env.PATH ?? '').split(delimiter).some((folder) => isExecutable(join(folder, 'script')));

/** Starts it on a terminal; what is typed goes to `process.stdin`. */
export function startOnTerminal(args: readonly string[], env: Environment = {}): Shell {
  const quoted = [process.execPath, COMMAND, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
  return start('script', ['-qefc', quoted.join(' '), '/dev/null'], env, 'pipe');
}

function start(command: string, args: readonly string[], env: Environment, stdin: 'ignore' | 'pipe'): Shell {
  const child = spawn(command, args, {
    stdio: [stdin, 'pipe', 'pipe'],
    env: { ...withoutSettings(process.env), ...env },
  });
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
      return (await waitFor(() => pattern.exec(output)?.[0]).catch((cause: unknown) => {
        throw new Error(`${pattern} was not shown, but:\n${output}\n${errors}`, { cause });
      })) as string;
    },
    ended: once(child, 'close').then(([code, signal]) => ({ code, signal })),
  };
}

function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(DOCKET_|NO_COLOR$|FORCE_COLOR$)/.test(name)));
}
