/** A place where executions run, as the coordinator sees it: a worker thread, or its own thread with `threads: 0`. */
import type { FailureNotice, LogLine, OutcomeBatch, PlacementCounts, ProgressMessage } from '../../channel/protocol.js';
import type { Manifest } from '../../tasks/manifest.js';

export interface Thread {
  /** The tasks it can run. */
  readonly manifest: Manifest;
  /** Whether its attempts can be ended by force. */
  readonly isEnforceable: boolean;
  /**
   * Runs a chunk, whose memory is handed over. Resolves when all of it is over, with the outcomes that were not reported
   * before; rejects when the thread dies.
   *
   * @param patienceMs - maximum age of an outcome that is not reported when the next attempt starts
   */
  run(items: Uint8Array, patienceMs: number): Promise<OutcomeBatch>;
  /** Asks it to look for attempts that must stop. Returns the number of this request. */
  attend(): number;
  /** Whether it has looked since that request. If not, something holds its event loop. */
  hasAttended(request: number): boolean;
  /** Whether it has sent an outcome: then its start has not failed, whatever ends it later. */
  hasRun?(): boolean;
  /**
   * Tells the modules that an execution has failed for good. Resolves when their functions have ended; rejects when the thread
   * dies before that.
   */
  notifyFailure(failure: FailureNotice): Promise<void>;
  /** Resolves when the thread is gone and everything it sent has arrived. */
  readonly exited: Promise<void>;
  /** What ended it; `null` while it lives, and when the coordinator has ended it. */
  death?(): ThreadDeath | null;
  /**
   * Ends it, whatever it runs. Resolves when it is gone. First it disposes of its shared dependencies, if it can within
   * `graceMs`. With 0 it does not try.
   */
  terminate(graceMs: number): Promise<void>;
}

/** What ended a thread that the coordinator did not end. */
export interface ThreadDeath {
  /** One line, such as `Error: left over`, `ran out of memory (limit 128 MB)` or `exited with code 3`. */
  readonly line: string;
  /** The error that nobody caught, or one that stands for what happened. Only the former has a stack. */
  readonly error: Error;
}

/** The reports of a thread, beside the outcomes with which it ends a chunk. */
export interface ThreadEvents {
  onOutcomes(batch: OutcomeBatch): void;
  onProgress(message: ProgressMessage): void;
  onLog(line: LogLine): void;
  onPlacements(placements: PlacementCounts): void;
}
