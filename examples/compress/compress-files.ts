/** Files in, results out: docket in one process, with an embedded Redis and a worker with threads of its own. */
import { Docket } from 'docket';
import { Worker } from 'docket/worker';
import { type Compressed, compress } from './tasks.js';

export interface CompressOptions {
  readonly threads: number;
  readonly signal?: AbortSignal;
  onResult(result: Compressed): void;
  onFailure(path: string, error: unknown): void;
}

/** How many files are on their way at once: enough to keep any number of threads fed. */
const WINDOW = 512;

/** Compresses every file and tells the outcome of each. Resolves early, with all threads ended, when the signal aborts. */
export async function compressFiles(files: Iterable<string>, options: CompressOptions): Promise<void> {
  const { threads, signal, onResult, onFailure } = options;
  const docket = new Docket({ name: `compress-${threads}`, url: 'memory://demo' });
  const worker = new Worker(docket, {
    tasks: new URL('./tasks.js', import.meta.url),
    threads,
    drainTimeout: '1s', // Ctrl-C should not wait for a large file
  });
  const running = worker.runForever();

  const queue = files[Symbol.iterator]();
  async function feed(): Promise<void> {
    for (let next = queue.next(); !next.done && !signal?.aborted; next = queue.next()) {
      const path = next.value;
      try {
        const execution = await docket.add(compress, { path });
        onResult(await execution.result(signal ? { signal } : {}));
      } catch (error) {
        if (!signal?.aborted) onFailure(path, error);
      }
    }
  }
  try {
    await Promise.race([Promise.all(Array.from({ length: WINDOW }, feed)), running]);
  } finally {
    await worker.close();
    await docket.close();
  }
}
