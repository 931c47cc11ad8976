/** docket's caller in the latency bench. */
import { Docket } from 'docket';
import { callWith } from './call.js';
import { noted } from './docket-tasks.js';
import { DOCKET } from './names.js';
import { payload } from './payload.js';

await callWith(({ url }) => {
  const lean = new Docket({ name: DOCKET, url, executionTtl: 0 });
  const tracked = new Docket({ name: DOCKET, url });
  return {
    add: (index, keptMs) => (keptMs > 0 ? tracked : lean).add(noted, payload(index)),
    call: async (index) => (await tracked.add(noted, payload(index))).result(),
    async openWait(index) {
      const execution = await tracked.add(noted, payload(index), { when: new Date(Date.now() + 3_600_000) });
      execution.result().catch(() => {}); // cancelled in the end
      return () => execution.cancel();
    },
    close: () => Promise.all([lean.close(), tracked.close()]),
  };
});
