/** Compresses files with docket in one process: an embedded Redis, and a worker with its own threads. */
import { once } from 'node:events';
import { Docket } from 'docket';
import { Worker } from 'docket/worker';
import { pino } from 'pino';
import { type Compressed, compress } from './tasks.js';

/** Called with the outcome of each file. */
export interface Outcomes {
  onResult(result: Compressed): void;
  onFailure(path: string, error: unknown): void;
}

/** How many files are added at once: enough for any number of threads, and no more: long backlogs slow the embedded server. */
const WINDOW = 128;

export class Compressor implements AsyncDisposable {
  readonly #docket: Docket;
  readonly #worker: Worker;
  readonly #running: Promise<void>;
  readonly #closing = new AbortController();

  constructor(threads: number) {
    this.#docket = new Docket({ name: `compress-on-${threads}`, url: 'memory://demo' });
    this.#worker = new Worker(this.#docket, {
      tasks: new URL('./tasks.js', import.meta.url),
      threads,
      logger: pino({ level: 'fatal' }, pino.destination(2)), // the demo itself shows failures
      drainTimeout: '3s', // Ctrl-C should not wait for a very large file
    });
    this.#running = this.#worker.runForever();
  }

  /** Compresses every file, and reports the outcome of each. Returns early when the signal aborts. */
  async run(files: Iterable<string>, outcomes: Outcomes, signal: AbortSignal): Promise<void> {
    const queue = files[Symbol.iterator]();
    const feeders = Array.from({ length: WINDOW }, () => this.#feed(queue, outcomes, signal));
    // The worker only ends before the work does when it fails.
    await Promise.race([Promise.all(feeders), this.#running, aborted(signal)]);
  }

  /** Compresses files from the queue one after the other. */
  async #feed(queue: Iterator<string>, { onResult, onFailure }: Outcomes, signal: AbortSignal): Promise<void> {
    const isStopped = () => signal.aborted || this.#closing.signal.aborted;
    for (let next = queue.next(); !next.done && !isStopped(); next = queue.next()) {
      const path = next.value;
      try {
        const execution = await this.#docket.add(compress, { path });
        onResult(await execution.result());
      } catch (error) {
        if (!isStopped()) onFailure(path, error);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#worker.close();
    await this.#docket.close(); // rejects the results that are still awaited
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
