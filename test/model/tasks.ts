/** The tasks of the model, and what their executions must pass before they start. */
import type { AdmissionCheck } from '../../src/redis/admission-store.js';

const A: AdmissionCheck = { kind: 'permit', key: 'a', max: 1 };
const B: AdmissionCheck = { kind: 'permit', key: 'b', max: 2 };

/** Keys of limits expire by the real clock, so their times are longer than any sequence takes. */
const HOUR_MS = 3_600_000;

export const RATE = { kind: 'rate', key: 'r', max: 2, perMs: HOUR_MS, onExceeded: 'delay' } as const;

/** The limits of each task. */
export const TASKS: Readonly<Record<string, readonly AdmissionCheck[]>> = {
  plain: [],
  chain: [],
  single: [A],
  pair: [A, B],
  wide: [B],
  rated: [RATE],
  'rated-single': [RATE, A],
  cool: [{ kind: 'cooldown', key: 'c', windowMs: HOUR_MS }],
  settling: [{ kind: 'debounce', key: 'd', settleMs: HOUR_MS }],
};

/** What sequences are about: few things meet each other more often than many. */
export interface Focus {
  readonly tasks: readonly string[];
  /** Whether executions are placed in partitions where they do not belong. */
  readonly moves: boolean;
}

export const FOCUSES: readonly Focus[] = [
  { tasks: Object.keys(TASKS), moves: true },
  { tasks: ['plain'], moves: false },
  { tasks: ['chain'], moves: false },
  { tasks: ['plain'], moves: true },
  { tasks: ['plain', 'chain', 'single'], moves: true },
  { tasks: ['single', 'pair', 'wide'], moves: false },
  { tasks: ['single'], moves: false },
  { tasks: ['rated', 'rated-single', 'single'], moves: false },
  { tasks: ['cool', 'settling', 'plain'], moves: false },
];

/** The most permits that may be taken at each limit. */
export const MOST_PERMITS: Readonly<Record<string, number>> = { a: 1, b: 2 };

/** Returns the permits that an execution of a task holds while it runs. */
export function permitsOf(task: string): { readonly key: string; readonly max: number }[] {
  return TASKS[task]!.flatMap((check) => (check.kind === 'permit' ? [{ key: check.key, max: check.max }] : []));
}
