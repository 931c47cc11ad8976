/** What a test docket knows of its executions, read from its server. */
import { type ExecutionState, isTerminal, type TerminalState } from '../core/states.js';
import type { AddedExecution } from './added.js';
import type { TestDocket } from './test-docket.js';

/** An execution as the server has it. */
export interface KnownExecution<A = unknown, R = unknown> extends AddedExecution<A> {
  readonly state: ExecutionState;
  /** How it ended, or how the last run of its chain ended; `null` before that. */
  readonly endState: TerminalState | null;
  /** The number of its attempt, from 1. */
  readonly attempt: number;
  /** Its result, or `undefined`. Those of earlier runs of a chain are not kept. */
  readonly result: R | undefined;
  /** Its error, as one line; `null` when it has none. */
  readonly errorLine: string | null;
}

const ALL_STATES = [
  'scheduled',
  'queued',
  'running',
  'completed',
  'failed',
  'cancelled',
] as const satisfies ExecutionState[];

/** Reads all executions of a test docket, in the order in which they were added. */
export async function executionsOf({ docket }: Pick<TestDocket, 'docket'>): Promise<KnownExecution[]> {
  const chains = new Map<string, { readonly state: TerminalState; readonly errorLine: string | null }>();
  for await (const { key, lastOutcome } of docket.schedules()) if (lastOutcome) chains.set(key, lastOutcome);
  const keys = new Set<string>();
  const listed = docket.list({ state: ALL_STATES, limit: Number.MAX_SAFE_INTEGER });
  for await (const { key } of listed) keys.add(key);
  const known: KnownExecution[] = [];
  for (const details of await Promise.all(Array.from(keys, (key) => docket.show(key)))) {
    if (!details) continue; // its record has expired meanwhile
    const { key, task, state, attempt, when, placedAt, errorLine } = details;
    const last = chains.get(key) ?? null;
    const endState = isTerminal(state) ? state : (last?.state ?? null);
    known.push({
      key,
      task,
      args: details.args(),
      when: when ?? new Date(Number.NaN),
      addedAt: placedAt,
      state,
      endState,
      attempt,
      result: details.result(),
      errorLine: errorLine ?? last?.errorLine ?? null,
    });
  }
  return known.sort((a, b) => (a.addedAt?.getTime() ?? 0) - (b.addedAt?.getTime() ?? 0));
}
