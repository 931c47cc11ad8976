/** Runs the fundamentals in the test's own thread and on worker threads, on the embedded server and on a real one. */

import type { Docket } from 'docket';
import { Worker } from 'docket/worker';
import { describeEachMode } from './modes.js';
import { type Stage, setStage, silent } from './stage.js';

/** The module with the tasks, as a worker is told of it. */
const TASKS = new URL('../fixtures/tasks/tutorial.js', import.meta.url);

export interface Tutorial {
  /** Where the docket of this test is. */
  readonly docketOptions: { readonly name: string; readonly url: string };
  /** A worker for the tasks of `fixtures/tasks/tutorial.js`. */
  startWorker(docket: Docket): Worker;
}

export function describeTutorial(name: string, chapter: (tutorial: Tutorial) => void): void {
  describeEachMode(name, (url, threads) => {
    const stage: Stage = setStage(url);
    chapter({
      get docketOptions() {
        return { name: stage.name, url: stage.url };
      },
      startWorker: (docket) =>
        new Worker(docket, { tasks: TASKS, threads, minimumCheckInterval: '50ms', logger: silent }),
    });
  });
}
