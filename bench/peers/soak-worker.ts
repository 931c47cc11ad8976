/** docket's worker in the soak. It starts at the first request; each request is answered with what the process holds. */
import { Docket } from 'docket';
import { Worker } from 'docket/worker';
import { DOCKET } from './names.js';
import { serve } from './serve.js';
import { type Resources, readResources } from './soak-resources.js';

export interface SoakWorkerSettings {
  readonly url: string;
  readonly threads: number;
}

await serve<SoakWorkerSettings, null, Resources>(({ url, threads }) => {
  const docket = new Docket({ name: DOCKET, url });
  const quiet = () => {};
  const worker = new Worker(docket, {
    threads,
    tasks: new URL('./soak-tasks.js', import.meta.url),
    logger: { debug: quiet, info: quiet, warn: quiet, error: console.error },
  });
  let running: Promise<unknown> | undefined;
  return {
    answer() {
      running ??= worker.runForever();
      return readResources();
    },
    async stop() {
      await worker.close();
      await running;
      await docket.close();
    },
  };
});
