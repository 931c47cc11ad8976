/**
 * The life of an execution, from `add` to its end, and the names of its states.
 *
 *     add, replace, next run of a chain
 *      │
 *      ├─ due later ─> scheduled <───────────────────────────────────────┐
 *      │                 │     ^                                         │ retry after a delay
 *      │             due │     │ a rate or a debounce puts it off;       │
 *      │                 v     │ reroute: this worker cannot run it      │
 *      └─ due now ───> queued ─┴───────────────── claim ─────────────> running ── outcome ──> completed, failed
 *                       ^  │ ^                                           │                    or cancelled
 *                       └──┘ └───── retry at once, requeue, redeliver ───┘
 *             is parked until a
 *             permit is released,
 *             or its task resumed
 *
 * An execution can end before its body has begun:
 *
 *     scheduled, queued ── cancel, clear ─────────────────────────────────> cancelled, at once
 *     scheduled         ── another submission wins the debounce ──────────> cancelled
 *     queued            ── a limit drops it, a strike meets it ───────────> cancelled, when a worker reads it
 *     queued            ── it is poisoned, its message cannot be read ────> failed, when a worker reads it
 *
 * Something other than its body can also decide how a running execution ends:
 *
 *     running ── cancel ───────────────────> cancelled, once its attempt has stopped
 *     running ── its worker stops ─────────> queued: requeued if it has not started, or did not end in time
 *     running ── its worker is lost ───────> queued: redelivered; after `maxDeliveries` charges it is poisoned
 *     running ── replace ──────────────────> superseded: it runs on, but its outcome is not written
 *
 * Whatever ends a run of a perpetual task also places the next run under the same key, unless its chain was ended.
 */

/** What an execution is doing: it waits for its time, is due, is in a worker's hands, or has ended. */
export type ExecutionState = 'scheduled' | 'queued' | 'running' | TerminalState;

/** All states, in the order of a life. */
export const STATES = [
  'scheduled',
  'queued',
  'running',
  'completed',
  'failed',
  'cancelled',
] as const satisfies readonly ExecutionState[];

/** The states that an execution does not leave. Its key is free again. */
export type TerminalState = 'completed' | 'failed' | 'cancelled';

/**
 * What an `add` did: `scheduled` placed a new execution; `already_scheduled` wrote nothing, because an execution was
 * scheduled, queued or running under the key; `struck` wrote nothing, because a strike meets the call.
 */
export type Disposition = 'scheduled' | 'already_scheduled' | 'struck';

/** What the public API says a queued execution waits for while its task is paused. */
export const WAITS_FOR_RESUME = 'paused';

/** Tells whether an execution in this state has ended. */
export function isTerminal(state: ExecutionState): state is TerminalState {
  return state === 'completed' || state === 'failed' || state === 'cancelled';
}

/**
 * A result of an `add` or a `replace` that is counted: `scheduled` comes on top of `added` or `replaced` when the
 * execution is due later, and `stricken` means that a strike kept it from being written.
 */
export type CountedPlacement = 'added' | 'replaced' | 'scheduled' | 'stricken';
