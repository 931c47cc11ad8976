/** What `docket top` shows at one moment, read with a few bounded commands. */
import type { Docket } from '../../client/docket.js';
import { internalsOf } from '../../client/internals.js';
import { measure } from '../../redis/snapshot-store.js';
import type { HistoryMinute, TaskStats } from '../../tasks/history.js';
import type { RunningEntry, Snapshot } from '../../tasks/snapshot.js';
import type { ProgressSummary } from '../../tasks/summary.js';

/** Over how many minutes rates and times are taken. */
export const MINUTES = 15;

/** How many running executions are read. */
export const LISTED_EXECUTIONS = 100;

/** The longest running executions of which the progress is read. */
const SHOWN_EXECUTIONS = 20;

export interface RunningExecution extends RunningEntry {
  /** `null` when none was reported, or the execution keeps no state. */
  readonly progress: ProgressSummary | null;
}

export interface Picture {
  readonly taken: Date;
  readonly totals: Snapshot['totals'];
  /** For how long the next queued execution has been due, in milliseconds; 0 when nothing is queued. */
  readonly oldestQueuedMs: number;
  /** The last minutes, the oldest first. */
  readonly minutes: readonly HistoryMinute[];
  /** What the tasks did in these minutes. */
  readonly tasks: readonly TaskStats[];
  /** Those in the hands of workers, the first of them with their progress. */
  readonly running: readonly RunningExecution[];
  readonly workers: Snapshot['workers'];
}

export async function takePicture(docket: Docket): Promise<Picture> {
  const { partitions } = internalsOf(docket);
  const [snapshot, minutes, tasks, measures] = await Promise.all([
    docket.snapshot({ limit: LISTED_EXECUTIONS }),
    docket.history({ minutes: MINUTES }),
    docket.stats({ minutes: MINUTES }),
    partitions.everywhere((one) => one.run(measure)),
  ]);
  const oldestQueuedMs = Math.max(...measures.map((one) => one.oldestQueuedMs));
  const { taken, totals, workers } = snapshot;
  const running = await Promise.all(
    snapshot.running.map(async (entry, i) => {
      const progress = i < SHOWN_EXECUTIONS ? await progressOf(docket, entry.key) : null;
      return { ...entry, progress };
    }),
  );
  return { taken, totals, oldestQueuedMs, minutes, tasks, running, workers };
}

async function progressOf(docket: Docket, key: string): Promise<ProgressSummary | null> {
  const execution = await docket.getExecution(key);
  return execution?.progress.updatedAt ? execution.progress.toJSON() : null;
}
