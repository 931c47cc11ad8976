/** Checks the name of a task on the command line against the tasks of the live workers. */
import type { Docket } from '../client/docket.js';
import { runsTask } from '../redis/fleet-store.js';

/**
 * Describes the problem when no live worker has a task, and lists the tasks there are; `null` when a live worker has the
 * task or a fallback.
 */
export async function unknownTask(docket: Docket, task: string): Promise<string | null> {
  const workers = await docket.workers();
  if (workers.some((worker) => runsTask(worker, task))) return null;
  const known = [...new Set(workers.flatMap(({ tasks }) => tasks))].sort();
  const hint =
    workers.length === 0
      ? 'there are no live workers'
      : `their tasks are ${known.slice(0, MAX_NAMED).join(', ')}${known.length > MAX_NAMED ? ', …' : ''}`;
  return `no live worker has a task '${task}' (${hint})`;
}

const MAX_NAMED = 20;

/** Shown for an execution that waits for a worker that has its task. */
export const NO_WORKER = 'no live worker has it';
