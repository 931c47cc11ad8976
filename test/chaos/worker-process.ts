/** One process of `docket-worker`, as the chaos suite starts and ends it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Attempt, ProcessSample } from './history.js';

const COMMAND = join(dirname(createRequire(import.meta.url).resolve('docket/package.json')), 'bin/docket-worker.js');

/** Lines of a worker that are kept, for a look after a failed run. */
const KEPT_LINES = 400;

export interface WorkerProcessOptions {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Modules that Node loads before the worker, by URL. */
  readonly preloads: readonly string[];
}

export class WorkerProcess {
  readonly name: string;
  readonly pid: number;
  /** Resolves with what ended it. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #healthUrl: string | null = null;
  #isReady = false;
  #endedWith: string | null = null;

  constructor({ name, args, env, preloads }: WorkerProcessOptions) {
    this.name = name;
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('DOCKET_')));
    const imports = [...preloads, new URL('./tether.js', import.meta.url).href].map((url) => `--import=${url}`);
    this.#child = spawn(process.execPath, [...imports, COMMAND, ...args, '--name', name, '--healthcheck-port', '0'], {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...inherited, ...env },
    });
    this.pid = this.#child.pid!;
    this.#child.stdin!.on('error', () => {});
    createInterface({ input: this.#child.stderr! }).on('line', (line) => this.#read(line));
    this.ended = once(this.#child, 'exit').then(([code, signal]) => {
      this.#endedWith = signal === null ? `code ${code}` : String(signal);
      return this.#endedWith;
    });
  }

  get isAlive(): boolean {
    return this.#endedWith === null;
  }

  /** Whether it has said that it is ready. */
  get hasStarted(): boolean {
    return this.#isReady;
  }

  /** The last lines of its log. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Whether an attempt ran in it. */
  ran({ thread }: Pick<Attempt, 'thread'>): boolean {
    return thread.startsWith(`${this.pid}/`);
  }

  /** Whether it stands still. */
  isStopped(): boolean {
    return /^State:\s+T/m.test(readFileSync(`/proc/${this.pid}/status`, 'utf8'));
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Waits until it has ended, and kills it when that takes too long. Returns whether it ended in time. */
  async endsWithin(ms: number): Promise<boolean> {
    const isLate = await Promise.race([this.ended.then(() => false), sleep(ms, true, { ref: false })]);
    if (isLate) await this.kill();
    return !isLate;
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    if (this.isAlive) this.#child.kill('SIGKILL');
    await this.ended;
  }

  /** Asks whether it is ready for work: null if so, else its reason. */
  async unreadiness(): Promise<string | null> {
    if (this.#healthUrl === null) return 'it has not started';
    try {
      const response = await fetch(new URL('/readyz', this.#healthUrl), { signal: AbortSignal.timeout(5_000) });
      return response.ok ? null : await response.text();
    } catch (error) {
      return `its health page does not answer: ${error}`;
    }
  }

  /** Looks up what it needs; null once it has ended. */
  sample(): ProcessSample | null {
    try {
      const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
      const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
      return {
        worker: this.name,
        pid: this.pid,
        residentBytes: 1024 * field('VmRSS'),
        handles: readdirSync(`/proc/${this.pid}/fd`).length,
        threads: field('Threads'),
        atMs: Date.now(),
      };
    } catch {
      return null;
    }
  }

  #read(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    this.#healthUrl ??= /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0] ?? null;
    if (/ is ready"/.test(line)) this.#isReady = true;
  }
}

/** The URL of a module beside this one, for `preloads`. */
export function moduleUrl(name: string): string {
  return new URL(`./${name}.js`, import.meta.url).href;
}

/** The path of a module beside this one, for `--tasks`. */
export function modulePath(name: string): string {
  return fileURLToPath(moduleUrl(name));
}
