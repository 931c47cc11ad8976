/**
 * The producer of the soak. It adds rounds of tasks of all kinds, and waits for the results of a round before it adds the one after
 * the next. So the worker is never idle, and the backlog is never longer than two rounds.
 */
import { call, Docket, type Execution } from 'docket';
import { DOCKET } from './names.js';
import { serve } from './serve.js';
import { type Resources, readResources } from './soak-resources.js';
import { limited, plain, reporting, retried, type SoakArguments } from './soak-tasks.js';

export interface SoakProducerSettings {
  readonly url: string;
  /** How long records and results are kept, in milliseconds. */
  readonly keptMs: number;
}

export interface SoakRequest {
  /** For how long tasks are added. */
  readonly ms: number;
}

export interface SoakAnswer extends Resources {
  readonly added: number;
  /** Results that are not what the task returns. */
  readonly wrong: number;
}

const FORGOTTEN = 1_000;
const OF_EACH = 40;
const CUSTOMERS = 7;
const TEXT = 'The quick brown fox jumps over the lazy dog. '.repeat(4);

await serve<SoakProducerSettings, SoakRequest, SoakAnswer>(({ url, keptMs }) => {
  const forgetting = new Docket({ name: DOCKET, url, executionTtl: 0 });
  const keeping = new Docket({ name: DOCKET, url, executionTtl: keptMs });
  let index = 0;
  const next = (): SoakArguments => ({ index: ++index, customer: index % CUSTOMERS, text: TEXT });

  /** Adds a round of tasks, and returns how many of their results are wrong. */
  async function round(): Promise<number> {
    await forgetting.addMany(Array.from({ length: FORGOTTEN }, () => call(plain, next())));
    const kept: Promise<[Execution<number>, number]>[] = [];
    const keep = (args: SoakArguments, execution: Promise<Execution<number>>) => {
      kept.push(execution.then((added) => [added, args.index]));
    };
    for (let i = 0; i < OF_EACH; i++) {
      for (const task of [plain, limited, retried, reporting]) {
        const args = next();
        keep(args, keeping.add(task, args));
      }
      const keyed = next();
      keep(keyed, keeping.add(plain, keyed, { key: `key-${keyed.index}` }));
      const later = next();
      keep(later, keeping.add(plain, later, { when: 20 }));
    }
    const results = kept.map(async (added) => {
      const [execution, expected] = await added;
      return (await execution.result()) === expected;
    });
    return (await Promise.all(results)).filter((isRight) => !isRight).length;
  }

  return {
    async answer({ ms }) {
      const before = index;
      const endMs = performance.now() + ms;
      let wrong = 0;
      const goOn = async () => {
        while (performance.now() < endMs) wrong += await round();
      };
      await Promise.all([goOn(), goOn()]);
      return { added: index - before, wrong, ...readResources() };
    },
    async stop() {
      await Promise.all([forgetting.close(), keeping.close()]);
    },
  };
});
