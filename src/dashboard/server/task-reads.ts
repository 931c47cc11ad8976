/** The read about tasks: joins what workers, history, pauses and strikes tell of each. */
import { type PolicyTexts, runsTask } from '../../redis/fleet-store.js';
import type { TaskJson, TasksJson } from '../api.js';
import { readWorkers } from './live.js';
import type { Source } from './source.js';

const MOST_TASKS = 1_000;
/** How many workers are asked for the policies of their tasks. Most of a fleet have the same. */
const MOST_ASKED = 50;

export async function readTasks(source: Source, minutes: number): Promise<TasksJson> {
  const { docket } = source;
  const [stats, pauses, strikes, workers] = await Promise.all([
    docket.stats({ minutes }),
    docket.pauses(),
    docket.strikes(),
    readWorkers(source),
  ]);
  const announced = (await source.policies(workers.slice(0, MOST_ASKED).map(({ id }) => id))).filter(
    (one) => one !== null,
  );
  const struck = new Set(strikes.flatMap(({ task, parameter }) => (parameter === null && task !== null ? [task] : [])));
  const paused = pauses.flatMap(({ task }) => (task === null ? [] : [task]));
  const names = new Set([
    ...stats.map(({ task }) => task),
    ...workers.flatMap(({ tasks }) => tasks),
    ...struck,
    ...paused,
  ]);
  const byTask = new Map(stats.map((one) => [one.task, one]));
  const tasks = [...names].sort().slice(0, MOST_TASKS);
  return {
    minutes,
    tasks: tasks.map((task): TaskJson => {
      const { task: _, failedByMinute: __, ...counted } = byTask.get(task) ?? { task, failedByMinute: [] };
      return {
        task,
        workers: workers.filter((worker) => worker.takesWork && runsTask(worker, task)).length,
        ...policiesOf(task, announced),
        pauses: pauses.filter((pause) => pause.task === task).map((one) => ({ ...one, since: one.since.getTime() })),
        isStruck: struck.has(task),
        stats: 'started' in counted ? counted : null,
      };
    }),
  };
}

function policiesOf(task: string, announced: readonly PolicyTexts[]): Pick<TaskJson, 'policies' | 'doPoliciesDiffer'> {
  const told = announced.flatMap((policies) => (Object.hasOwn(policies, task) ? [policies[task]!] : []));
  const different = new Set(told.map((texts) => JSON.stringify(texts)));
  return { policies: told[0] ?? null, doPoliciesDiffer: different.size > 1 };
}
