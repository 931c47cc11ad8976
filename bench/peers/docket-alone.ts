/** A producer and a worker in one process, as users of `memory://` have them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { call, Docket, task } from 'docket';
import { Worker } from 'docket/worker';
import { DOCKET } from './names.js';
import { serve } from './serve.js';

export interface DocketAloneSettings {
  readonly url: string;
  /** In milliseconds. */
  readonly executionTtl: number;
}

/** How long it took to add and to run so many tasks, and what came of them. */
export interface AloneAnswer {
  readonly addMs: number;
  readonly runMs: number;
  readonly problems: readonly string[];
}

const POLL_MS = 20;

await serve<DocketAloneSettings, { readonly tasks: number }, AloneAnswer>(({ url, executionTtl }) => {
  const docket = new Docket({ name: DOCKET, url, executionTtl });
  let executed: number[] = [];
  const noop = task('noop', ({ index }: { readonly index: number }) => void executed.push(index));
  const left = async () => {
    const { queued, running, scheduled } = (await docket.snapshot()).totals;
    return queued + running + scheduled;
  };
  return {
    async answer({ tasks }) {
      executed = [];
      const start = performance.now();
      await docket.addMany(Array.from({ length: tasks }, (_, index) => call(noop, { index })));
      const added = performance.now();
      const quiet = () => {};
      const logger = { debug: quiet, info: quiet, warn: console.error, error: console.error };
      const worker = new Worker(docket, { tasks: { noop }, threads: 0, logger });
      const running = worker.runForever();
      // The clock stops when everything is acknowledged, not when the last body has returned.
      while (executed.length < tasks || (await left()) > 0) await sleep(POLL_MS);
      const ran = performance.now();
      await worker.close();
      await running;
      const distinct = new Set(executed).size;
      const problems: string[] = [];
      if (distinct !== tasks) problems.push(`${tasks - distinct} of ${tasks} tasks never ran`);
      if (executed.length !== distinct) problems.push(`${executed.length - distinct} executions were repetitions`);
      return { addMs: added - start, runMs: ran - added, problems };
    },
    stop: () => docket.close(),
  };
});
