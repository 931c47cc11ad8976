/** A place where executions run, as the coordinator sees it: a worker thread, or this very thread with `threads: 0`. */
import type { LogLine, OutcomeBatch, PlacementCounts, ProgressMessage } from '../../channel/protocol.js';
import type { Manifest } from '../../tasks/manifest.js';

export interface Thread {
  /** What it can run. */
  readonly manifest: Manifest;
  /** Whether what runs here can be ended by force. */
  readonly isEnforceable: boolean;
  /** Runs a chunk; resolves when all of it is over with the outcomes not reported before, rejects when the thread dies. */
  run(chunk: Uint8Array<ArrayBuffer>): Promise<OutcomeBatch>;
  /** Tells it to look for cancelled runs; answers with the number of this request. */
  attend(): number;
  /** Whether it has looked since that request: else something holds its event loop. */
  hasHeard(request: number): boolean;
  /** Resolves when the thread is gone and everything it sent has arrived. */
  readonly exited: Promise<void>;
  /** Whether it was ended because it needed more memory than it may have. */
  ranOutOfMemory?(): boolean;
  /**
   * Ends it, whatever it runs; resolves when it is gone. What its executions share is disposed first if that is done
   * within `graceMs`; 0 does not try.
   */
  terminate(graceMs: number): Promise<void>;
}

/** What a thread tells besides its answers. */
export interface ThreadEvents {
  onOutcomes(batch: OutcomeBatch): void;
  onProgress(message: ProgressMessage): void;
  onLog(line: LogLine): void;
  onPlacements(placements: PlacementCounts): void;
}
