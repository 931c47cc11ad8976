/** A steady stream of adds while servers fail, and what became of them. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Docket, DocketError } from 'docket';
import type { Tasks } from './fleet.js';

/** What became of the adds of a stream, by their keys. */
export interface Adds {
  /** Resolved, so they must run. */
  readonly acknowledged: Set<string>;
  /** Rejected because nothing was written. */
  readonly refused: Set<string>;
  /** Rejected, but possibly written: AddUnconfirmedError, DurabilityError. */
  readonly uncertain: Set<string>;
  /** The error lines met, without keys and addresses. */
  readonly errors: Set<string>;
  /** The longest time without an add that was acknowledged, in milliseconds. */
  readonly longestGapMs: number;
}

export interface AddStream extends Adds {
  /** Ends the stream, and resolves when each add is settled. */
  stop(): Promise<Adds>;
}

/** How often a group of adds is sent. */
const TICK_MS = 20;

/** Adds an execution of the task `witnessed` so often, whatever becomes of those before. */
export function streamOfAdds(docket: Docket<Tasks>, probe: unknown, perSecond: number): AddStream {
  const stopping = new AbortController();
  const [acknowledged, refused, uncertain, errors] = [
    new Set<string>(),
    new Set<string>(),
    new Set<string>(),
    new Set<string>(),
  ];
  const pending = new Set<Promise<void>>();
  let lastMs = performance.now();
  let longestGapMs = 0;
  let number = 0;
  const add = async (key: string) => {
    try {
      await docket.add('witnessed', { probe }, { key });
      acknowledged.add(key);
      longestGapMs = Math.max(longestGapMs, performance.now() - lastMs);
      lastMs = performance.now();
    } catch (error) {
      if (!(error instanceof DocketError)) throw error;
      errors.add(error.code);
      (error.code === 'DOCKET_REDIS_UNAVAILABLE' ? refused : uncertain).add(key);
    }
  };
  const running = (async () => {
    while (!stopping.signal.aborted) {
      for (let i = 0; i < (perSecond * TICK_MS) / 1_000; i++) {
        const adding: Promise<void> = add(`k-${number++}`).finally(() => pending.delete(adding));
        pending.add(adding);
      }
      await delay(TICK_MS);
    }
    while (pending.size > 0) await Promise.all(pending);
  })();
  const adds = {
    acknowledged,
    refused,
    uncertain,
    errors,
    get longestGapMs() {
      return longestGapMs;
    },
  };
  return Object.assign(Object.create(adds) as Adds, {
    async stop() {
      stopping.abort();
      await running;
      return adds;
    },
  });
}

/** How often each key ran, and how often after a redelivery, from the steps of `witnessed`. */
export function runsOf(steps: readonly string[]): Map<string, { runs: number; redelivered: number }> {
  const runs = new Map<string, { runs: number; redelivered: number }>();
  for (const step of steps) {
    const [key = '', redelivered] = step.split(' ');
    const one = runs.get(key) ?? { runs: 0, redelivered: 0 };
    one.runs += 1;
    if (redelivered === 'true') one.redelivered += 1;
    runs.set(key, one);
  }
  return runs;
}
