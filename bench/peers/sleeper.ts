/** Sleeps again and again, many times at once, in one process and without any queue: the most that timers allow. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from './serve.js';

export interface SleeperSettings {
  /** The length of one sleep. */
  readonly ms: number;
  /** The number of sleeps at once. */
  readonly concurrency: number;
}

export interface Slept {
  readonly perSecond: number;
}

/** A request is the number of sleeps. */
await serve<SleeperSettings, number, Slept>(({ ms, concurrency }) => ({
  async answer(sleeps) {
    let left = sleeps;
    const start = performance.now();
    const loop = async () => {
      while (left-- > 0) await sleep(ms);
    };
    await Promise.all(Array.from({ length: concurrency }, loop));
    return { perSecond: (sleeps / (performance.now() - start)) * 1e3 };
  },
  stop: async () => {},
}));
