/** Files in, results out: docket in one process, with an embedded Redis and a worker with threads of its own. */
import { once } from 'node:events';
import { Docket } from 'docket';
import { Worker } from 'docket/worker';
import { type Compressed, compress } from './tasks.js';

export interface CompressOptions {
  readonly threads: number;
  readonly signal?: AbortSignal;
  onResult(result: Compressed): void;
  onFailure(path: string, error: unknown): void;
}

/** How many files are on their way at once: enough to keep the threads fed; the embedded server slows down with its backlog. */
const WINDOW = 128;

/** Compresses every file and tells the outcome of each. Resolves early, with all threads ended, when the signal aborts. */
export async function compressFiles(files: Iterable<string>, options: CompressOptions): Promise<void> {
  const { threads, signal, onResult, onFailure } = options;
  const docket = new Docket({ name: `compress-${threads}`, url: 'memory://demo' });
  const worker = new Worker(docket, {
    tasks: new URL('./tasks.js', import.meta.url),
    threads,
    drainTimeout: '3s', // Ctrl-C should not wait for a very large file
  });
  const running = worker.runForever();

  const queue = files[Symbol.iterator]();
  let isStopped = false;
  async function feed(): Promise<void> {
    for (let next = queue.next(); !next.done && !isStopped; next = queue.next()) {
      const path = next.value;
      try {
        const execution = await docket.add(compress, { path });
        onResult(await execution.result());
      } catch (error) {
        if (!isStopped) onFailure(path, error);
      }
    }
  }
  try {
    const fed = Promise.all(Array.from({ length: WINDOW }, feed));
    await Promise.race([fed, running, ...(signal ? [aborted(signal)] : [])]);
  } finally {
    isStopped = true;
    await worker.close();
    await docket.close(); // and whoever still waits for a result is told
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
