/** Runs the fundamentals in the test's own thread and on worker threads, on the embedded server and on a real one. */

import type { Docket } from 'docket';
import { Worker } from 'docket/worker';
import { type Stage, setStage, silent } from './stage.js';
import { describeOnAnyServer, describeOnEmbedded, labelled } from './suites.js';

/** The module with the tasks, as a worker is told of it. */
const TASKS = new URL('../fixtures/tasks/tutorial.js', import.meta.url);

export interface Tutorial {
  /** Where the docket of this test is. */
  readonly docketOptions: { readonly name: string; readonly url: string };
  /** A worker for the tasks of `fixtures/tasks/tutorial.js`. */
  startWorker(docket: Docket): Worker;
}

export function describeTutorial(name: string, chapter: (tutorial: Tutorial) => void): void {
  const tellWith = (threads: number) => (url: () => string) => {
    const stage: Stage = setStage(url);
    chapter({
      get docketOptions() {
        return { name: stage.name, url: stage.url };
      },
      startWorker: (docket) =>
        new Worker(docket, { tasks: TASKS, threads, minimumCheckInterval: '50ms', logger: silent }),
    });
  };
  describeOnEmbedded(labelled(name, 'threads: 0'), tellWith(0));
  describeOnAnyServer(name, tellWith(1));
}
