/** The tasks of the model, and what their executions must pass before they start. */
import type { AdmissionCheck } from '../../src/redis/admission-store.js';

const A: AdmissionCheck = { kind: 'permit', key: 'a', max: 1 };
const B: AdmissionCheck = { kind: 'permit', key: 'b', max: 2 };

export const RATE = { kind: 'rate', key: 'r', max: 2, perMs: 10_000, onExceeded: 'delay' } as const;
export const WINDOW_MS = 20_000;

/** The limits of each task. */
export const TASKS: Readonly<Record<string, readonly AdmissionCheck[]>> = {
  plain: [],
  chain: [],
  single: [A],
  pair: [A, B],
  wide: [B],
  rated: [RATE],
  'rated-single': [RATE, A],
  cool: [{ kind: 'cooldown', key: 'c', windowMs: WINDOW_MS }],
  settling: [{ kind: 'debounce', key: 'd', settleMs: WINDOW_MS }],
};

export const TASK_NAMES = Object.keys(TASKS);

/** The most permits that may be taken at each limit. */
export const MOST_PERMITS: Readonly<Record<string, number>> = { a: 1, b: 2 };

/** Returns the permits that an execution of a task holds while it runs. */
export function permitsOf(task: string): { readonly key: string; readonly max: number }[] {
  return TASKS[task]!.flatMap((check) => (check.kind === 'permit' ? [{ key: check.key, max: check.max }] : []));
}
