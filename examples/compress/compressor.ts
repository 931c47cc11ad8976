/** Compresses files with docket in one process: an embedded Redis, and a worker with its own threads. */
import { once } from 'node:events';
import { Docket } from 'docket';
import { Worker } from 'docket/worker';
import { pino } from 'pino';
import { type Compressed, compress, workOf } from './tasks.js';
import type { FoundFile } from './walk.js';

/** Called with the outcome of each file. */
export interface Outcomes {
  onResult(result: Compressed): void;
  onFailure(path: string, problem: string): void;
}

/** How many tasks are added at once: enough for any number of threads. */
const WINDOW = 128;
/** The least work of a task: 0.1 s on a core that compresses 1.8 MB of small files a second. Small files share a task. */
const WORK_PER_TASK = 0.18e6;

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
  async run(files: Iterable<FoundFile>, outcomes: Outcomes, signal: AbortSignal): Promise<void> {
    const queue = shares(files);
    const feeders = Array.from({ length: WINDOW }, () => this.#feed(queue, outcomes, signal));
    // The worker only ends before the work does when it fails.
    await Promise.race([Promise.all(feeders), this.#running, aborted(signal)]);
  }

  /** Compresses shares from the queue one after the other. */
  async #feed(queue: Iterator<string[]>, { onResult, onFailure }: Outcomes, signal: AbortSignal): Promise<void> {
    const isStopped = () => signal.aborted || this.#closing.signal.aborted;
    for (let next = queue.next(); !next.done && !isStopped(); next = queue.next()) {
      const paths = next.value;
      try {
        const execution = await this.#docket.add(compress, { paths });
        for (const outcome of await execution.result()) {
          if ('problem' in outcome) onFailure(outcome.path, outcome.problem);
          else onResult(outcome);
        }
      } catch (error) {
        if (!isStopped()) for (const path of paths) onFailure(path, String(error));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#worker.close();
    await this.#docket.close(); // rejects the results that are still awaited
  }
}

/** Divides the files among tasks, in their order. */
function* shares(files: Iterable<FoundFile>): Generator<string[], void> {
  let paths: string[] = [];
  let work = 0;
  for (const { path, bytes } of files) {
    paths.push(path);
    work += workOf(bytes);
    if (work < WORK_PER_TASK) continue;
    yield paths;
    [paths, work] = [[], 0];
  }
  if (paths.length > 0) yield paths;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
