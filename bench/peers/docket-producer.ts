/** docket's producer: `docket.add`, many at a time, or `docket.addMany`. */
import { call, Docket } from 'docket';
import { produced } from './docket-tasks.js';
import { DOCKET } from './names.js';
import { slices } from './payload.js';
import { produce } from './produce.js';

await produce(({ url, way, task, executionTtl }) => {
  const docket = new Docket({ name: DOCKET, url, executionTtl });
  return {
    async add({ from, to }) {
      for (const slice of slices(from, to, way.size)) {
        if (way.kind === 'each') await Promise.all(slice.map((args) => docket.add(produced[task], args)));
        else await docket.addMany(slice.map((args) => call(produced[task], args)));
      }
    },
    close: () => docket.close(),
  };
});
