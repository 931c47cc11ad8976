/**
 * Ends the process of a worker at once, whatever handles user code keeps open and whatever its threads do.
 *
 * `process.exit` waits for threads in native code, such as `execSync`, which nothing can interrupt. A process with such a
 * thread is ended by the signal instead. As PID 1 of a container it ignores the signal, and waits.
 */
import type { Worker as Thread } from 'node:worker_threads';
import { within } from '../core/service.js';

/** How long threads may take to end, and readers to take the output, in milliseconds. */
const PATIENCE_MS = 1_000;

/** Keeps a set of the threads of this process that start after this call, for as long as each of them lives. */
export function trackThreads(): ReadonlySet<Thread> {
  const threads = new Set<Thread>();
  process.on('worker', (thread) => {
    threads.add(thread);
    thread.once('exit', () => threads.delete(thread));
  });
  return threads;
}

/** Ends the process with `code`, or by `signal` when one of the threads cannot be ended. */
export async function endProcess(code: number, signal: NodeJS.Signals, threads: ReadonlySet<Thread>): Promise<void> {
  await within(Promise.all([process.stdout, process.stderr].map(flushed)), PATIENCE_MS);
  await within(Promise.all([...threads].map((thread) => thread.terminate())), PATIENCE_MS);
  if (threads.size > 0) {
    // This must be the last listener, because those before it may have something to tidy up.
    process.once('exit', () => {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    });
  }
  process.exit(code);
}

/** Resolves when the stream has passed on what was written to it. */
async function flushed(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength > 0) await new Promise<unknown>((resolve) => stream.write('', resolve));
}
