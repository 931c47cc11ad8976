/** The skeleton of every producer program: adds a range, and says how long until the last add was confirmed. */
import { performance } from 'node:perf_hooks';
import { serve } from './serve.js';

/** How tasks are handed over. */
export type Way =
  /** one call per task, `size` of them awaited together */
  | { readonly kind: 'each'; readonly size: number }
  /** one call per `size` tasks, one after the other */
  | { readonly kind: 'batch'; readonly size: number };

export interface ProducerSettings {
  readonly path: string;
  readonly url: string;
  readonly way: Way;
  readonly task: 'noop' | 'tally' | 'limitedTask' | 'limitedValue' | 'limitedValues' | 'limitedRate' | 'limitedStack';
  /** docket's `executionTtl`. BullMQ decides in the worker what it keeps. */
  readonly executionTtl: number;
}

export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface Produced {
  readonly ms: number;
}

export interface Producer {
  add(range: Range): Promise<void>;
  close(): Promise<void>;
}

export async function produce(open: (settings: ProducerSettings) => Producer): Promise<void> {
  await serve<ProducerSettings, Range, Produced>((settings) => {
    const producer = open(settings);
    return {
      async answer(range) {
        const start = performance.now();
        await producer.add(range);
        return { ms: performance.now() - start };
      },
      stop: () => producer.close(),
    };
  });
}
