/** The skeleton of every producer program: adds a range of tasks, and measures the time until the last add is confirmed. */
import { performance } from 'node:perf_hooks';
import type { PayloadShape } from './payload.js';
import { serve } from './serve.js';

/** How a producer adds its tasks. */
export type AddMode =
  /** One call for each task, `size` of them awaited together. */
  | { readonly kind: 'each'; readonly size: number }
  /** One call for `size` tasks, each call after the one before. */
  | { readonly kind: 'batch'; readonly size: number };

export interface ProducerSettings {
  readonly path: string;
  readonly url: string;
  readonly mode: AddMode;
  readonly task:
    | 'noop'
    | 'tally'
    | 'burn'
    | 'sleep1'
    | 'sleep10'
    | 'sleep100'
    | 'limitedTask'
    | 'limitedValue'
    | 'limitedValues'
    | 'limitedRate'
    | 'limitedStack';
  /** docket's `executionTtl`, in milliseconds. With BullMQ the worker decides what is kept. */
  readonly executionTtl: number;
  /** What the arguments are like. @default 'small' */
  readonly payload?: PayloadShape;
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
