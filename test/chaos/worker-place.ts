/**
 * The place of one worker: a name, a relay to the server of its own, and the process that is there now. A process that ends
 * although no fault has ended it is noted, and another one takes its place.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Relay } from '../support/relay.js';
import { waitFor } from '../support/wait.js';
import type { UnplannedExit } from './history.js';
import { HISTORY_VARIABLE } from './recorder.js';
import { modulePath, WorkerProcess } from './worker-process.js';

/** After this time of silence, what a worker has is delivered again. */
export const LEASE_MS = 4_000;

/** How long a worker may take to stop. Every body is over much sooner. */
const DRAIN_MS = 10_000;

/** A signal that comes sooner than 50 ms after the one before counts as the same one. */
const ANOTHER_SIGNAL_MS = 100;

/**
 * How a worker ends that was drained, and one whose drain another signal cut short. When its threads do not end in
 * time, the signal does it.
 */
const DRAINED: readonly string[] = ['code 0', 'SIGTERM'];
export const CUT_SHORT: readonly string[] = ['code 143', 'SIGTERM'];

/** Heap of a thread in megabytes: a body that eats memory soon reaches it. */
const THREAD_MEMORY_MB = 96;

export interface WorkerPlaceOptions {
  readonly index: number;
  readonly url: string;
  readonly docket: string;
  readonly historyPath: string;
  /** The relay behind `url`; null if the worker finds its servers by itself. */
  readonly relay: Relay | null;
  /** Is told of a process that ended although no fault had ended it, or that did not end as it should. */
  readonly onExit: (exit: UnplannedExit) => void;
}

export interface StartOptions {
  readonly preloads?: readonly string[];
  /** Module with tasks. @default 'tasks' */
  readonly tasks?: string;
}

export class WorkerPlace {
  readonly name: string;
  readonly relay: Relay | null;
  readonly #options: WorkerPlaceOptions;
  #process: WorkerProcess | null = null;
  /** Lines of processes that are gone. */
  #pastLines: string[] = [];

  constructor(options: WorkerPlaceOptions) {
    this.#options = options;
    this.name = `chaos-${options.index}`;
    this.relay = options.relay;
  }

  get process(): WorkerProcess | null {
    return this.#process;
  }

  /** What its processes have logged last. */
  get lines(): readonly string[] {
    return [...this.#pastLines, ...(this.#process?.lines ?? [])];
  }

  /** Starts the process of this place. It does not wait until the worker is ready: its server may be away. */
  async start(options: StartOptions = {}): Promise<void> {
    const process = this.spawn(options);
    this.#process = process;
    void process.ended.then(async (reason) => {
      if (this.#process !== process) return; // a fault has ended it
      this.#options.onExit({ worker: this.name, atMs: Date.now(), reason });
      this.#forget();
      await sleep(200);
      if (this.#process === null) await this.start();
    });
  }

  /** Starts a process with the name of this place, which the caller ends. */
  spawn({ preloads = [], tasks = 'tasks' }: StartOptions = {}): WorkerProcess {
    const { url, docket, historyPath } = this.#options;
    const settings = {
      url,
      docket,
      tasks: modulePath(tasks),
      threads: '2',
      concurrency: '6',
      'redelivery-timeout': `${LEASE_MS}ms`,
      'drain-timeout': `${DRAIN_MS}ms`,
      'max-deliveries': '20',
      'max-thread-memory': `${THREAD_MEMORY_MB}`,
      'logging-format': 'json',
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    return new WorkerProcess({ name: this.name, args, env: { [HISTORY_VARIABLE]: historyPath }, preloads });
  }

  /** Waits until the worker is ready for the first time. */
  async ready(timeoutMs: number): Promise<void> {
    await waitFor(() => this.#process?.hasStarted, { timeoutMs });
  }

  /** The process that is there, once one is: another takes the place of one that has ended. */
  async present(): Promise<WorkerProcess> {
    await waitFor(() => this.#process !== null, { timeoutMs: 60_000 });
    return this.#process!;
  }

  /** Ends it at once, for good. Returns what ended it; null if there was none. */
  async kill(): Promise<string | null> {
    const process = this.#forget();
    await process?.kill();
    return process === null ? null : await process.ended;
  }

  /** Stops it in order. What does not stop in time, or not in order, is noted. */
  async drain(): Promise<void> {
    const process = this.#forget();
    if (process === null) return;
    process.signal('SIGTERM');
    await endInTime(process, DRAIN_MS + 20_000, (exit) => this.#options.onExit(exit));
    const how = await process.ended;
    if (!DRAINED.includes(how))
      this.#options.onExit({ worker: this.name, atMs: Date.now(), reason: `was drained: ${how}` });
  }

  /** Stops it, and signals again and again until it ends. Returns what ended it; null if there was no process. */
  async signalUntilEnded(): Promise<string | null> {
    const process = this.#forget();
    if (process === null) return null;
    const signalling = setInterval(() => process.signal('SIGTERM'), ANOTHER_SIGNAL_MS);
    process.signal('SIGTERM');
    await endInTime(process, 20_000, (exit) => this.#options.onExit(exit));
    clearInterval(signalling);
    return await process.ended;
  }

  #forget(): WorkerProcess | null {
    const process = this.#process;
    this.#process = null;
    if (process !== null) this.#pastLines = [...this.#pastLines, ...process.lines].slice(-400);
    return process;
  }
}

async function endInTime(process: WorkerProcess, ms: number, onExit: (exit: UnplannedExit) => void): Promise<void> {
  if (await process.endsWithin(ms)) return;
  onExit({ worker: process.name, atMs: Date.now(), reason: `did not end within ${ms} ms after its signal` });
}
