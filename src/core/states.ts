/** The states an execution goes through, and what an `add` did. */

/**
 * ```
 * scheduled ─> queued ─> running ─> completed | failed | cancelled
 *     ^          ^          │
 *     └──────────┴── retry ─┘
 * ```
 */
export type ExecutionState = 'scheduled' | 'queued' | 'running' | TerminalState;

/** States an execution does not leave; its key is free again. */
export type TerminalState = 'completed' | 'failed' | 'cancelled';

/**
 * What an `add` did: `scheduled` placed a new execution, `already_scheduled` wrote nothing because one was scheduled,
 * queued or running under the key, `struck` wrote nothing because a strike is in the way.
 */
export type Disposition = 'scheduled' | 'already_scheduled' | 'struck';

/** Tells whether an execution in this state has ended. */
export function isTerminal(state: ExecutionState): state is TerminalState {
  return state === 'completed' || state === 'failed' || state === 'cancelled';
}

/** What became of an `add` or a `replace`, as it is counted. */
export type CountedPlacement = 'added' | 'replaced' | 'scheduled' | 'stricken';
