/** docket's producer: concurrent calls of `docket.add`, or `docket.addMany`. */
import { call, Docket } from 'docket';
import { produced } from './docket-tasks.js';
import { DOCKET } from './names.js';
import { slices } from './payload.js';
import { produce } from './produce.js';

await produce(({ url, mode, task, executionTtl, payload }) => {
  const docket = new Docket({ name: DOCKET, url, executionTtl });
  return {
    async add({ from, to }) {
      for (const slice of slices(from, to, mode.size, payload)) {
        if (mode.kind === 'each') await Promise.all(slice.map((args) => docket.add(produced[task], args)));
        else await docket.addMany(slice.map((args) => call(produced[task], args)));
      }
    },
    close: () => docket.close(),
  };
});
