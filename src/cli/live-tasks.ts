/** Whether a task that was named on the command line is one that a live worker has. */
import type { Docket } from '../client/docket.js';

/** Says that no live worker has a task, and which tasks there are; `null` when one has it. */
export async function unknownTask(docket: Docket, task: string): Promise<string | null> {
  const workers = await docket.workers();
  if (workers.some(({ tasks }) => tasks.includes(task))) return null;
  const known = [...new Set(workers.flatMap(({ tasks }) => tasks))].sort();
  const hint =
    workers.length === 0
      ? 'no worker is live'
      : `they have ${known.slice(0, MOST_NAMED).join(', ')}${known.length > MOST_NAMED ? ', …' : ''}`;
  return `no live worker has a task '${task}' (${hint})`;
}

const MOST_NAMED = 20;
