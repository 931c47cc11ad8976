/** A place where executions run, as the coordinator sees it: a worker thread, or this very thread with `threads: 0`. */
import type { LogLine, OutcomeBatch } from '../core/protocol.js';
import type { TaskManifest } from '../tasks/manifest.js';

export interface Thread {
  /** What it can run. */
  readonly manifest: readonly TaskManifest[];
  /** Runs a chunk; resolves when all of it is over with the outcomes not reported before, rejects when the thread dies. */
  run(chunk: Uint8Array<ArrayBuffer>): Promise<OutcomeBatch>;
  /** Tells it to look for cancelled runs. */
  attend(): void;
  /** Resolves when the thread is gone and everything it sent has arrived. */
  readonly exited: Promise<void>;
  /** Ends it, whatever it runs; resolves when it is gone. */
  terminate(): Promise<void>;
}

/** What a thread tells besides its answers. */
export interface ThreadEvents {
  onOutcomes(batch: OutcomeBatch): void;
  onLog(line: LogLine): void;
}
