/**
 * Plain piscina: the same function on the same number of threads, called from memory. The difference to it is the cost
 * of a queue.
 */
import { performance } from 'node:perf_hooks';
import { Piscina } from 'piscina';
import type { Rounds } from './hash-rounds.js';
import { serve } from './serve.js';

export interface PoolSettings {
  readonly threads: number;
}

export interface Burst extends Rounds {
  /** The module in this folder whose default export is run. */
  readonly work: 'arithmetic' | 'hash-rounds';
  readonly tasks: number;
}

await serve<PoolSettings, Burst, { ms: number }>(({ threads }) => {
  const pool = new Piscina({ minThreads: threads, maxThreads: threads });
  return {
    async answer({ work, tasks, rounds }) {
      const filename = new URL(`./${work}.js`, import.meta.url).href;
      const start = performance.now();
      await Promise.all(Array.from({ length: tasks }, () => pool.run({ rounds }, { filename })));
      return { ms: performance.now() - start };
    },
    stop: () => pool.destroy(),
  };
});
