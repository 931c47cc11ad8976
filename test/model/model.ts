/**
 * What must be true of a docket, as a state machine that knows nothing of Redis: where each execution is, and what a
 * call makes of it.
 *
 *   scheduled ─due─> ready ─read─> read ─claim─> running ─settle─> gone
 *                      ^             │ admit       │
 *                      │             v             │            Whatever lets go of an entry (settle, cancel, redeliver, replace,
 *                      └─permit── waiting          │            clear) releases its permits. A superseded execution stays
 *                      └────── redeliver, requeue ─┘            running until its entry goes, and nothing of it is written.
 *
 * Owns the rules that hold without a look at Redis: an execution that has ended never changes again, a key has one execution
 * while that is alive, and nothing is read before its time.
 */
import type { Priority } from '../../src/core/priority.js';
import type { ExecutionState, TerminalState } from '../../src/core/states.js';
import type { Token } from '../../src/redis/delivery-store.js';
import type { Move } from '../../src/redis/producer-store.js';
import type { AdmissionStage } from '../../src/redis/schema.js';

/** Partition 0 or the other one. */
export type Part = 0 | 1;

export type Place =
  | { readonly kind: 'scheduled'; readonly atMs: number }
  /** On a stream, for any worker to read. */
  | { readonly kind: 'ready' }
  /** In the hands of a worker, which has not claimed it. */
  | { readonly kind: 'read'; readonly worker: string }
  | { readonly kind: 'running'; readonly worker: string }
  /** In line for a permit, or for the resume of its task. */
  | { readonly kind: 'waiting'; readonly line: string; readonly ticket: number }
  | { readonly kind: 'gone'; readonly how: TerminalState | 'replaced' | 'moved' };

/** An execution in one partition. While it moves to another one, there is a second copy of it there. */
export interface Copy {
  readonly n: number;
  readonly part: Part;
  /** Its key, or its id if it is lean. */
  readonly key: string;
  readonly isLean: boolean;
  readonly task: string;
  readonly priority: Priority;
  readonly ttlMs: number;
  /** The partition where it belongs. */
  readonly home: Part;
  place: Place;
  /** Its entry; `null` until that is seen, and while there is none. */
  token: Token | null;
  generation: number;
  /** When it was placed, among all placements of the sequence. */
  placedAs: number;
  dueMs: number;
  attempt: number;
  deliveries: number;
  charges: number;
  reroutes: number;
  moves: number;
  /** Which of its limits it has passed. */
  stage: AdmissionStage;
  /** Whether a rate has yet to count its attempt; `null` when that is left open. */
  isBooked: boolean | null;
  /** Whether it has the mark that nothing else runs in its process. */
  isAlone: boolean;
  /** Whether its lease has run out. */
  isExpired: boolean;
  /** Whether somebody has cancelled it while it ran. */
  isCancelled: boolean;
  /** Lean: whether its id is remembered as cancelled. */
  isRemembered: boolean;
  /** Whether its key was given to another one while it ran. */
  isSuperseded: boolean;
  holdsPermits: boolean;
  /** Whether its entry says that it came with its permits. */
  cameWithPermits: boolean;
  /** How many attempts that failed its record shows. */
  failedAttempts: number;
  /** What its record shows of its outcome; `null` when it did not end by a settlement. */
  outcome: { readonly hasResult: boolean; readonly hasError: boolean } | null;
  /** Whether it is in the index of chains. */
  isListed: boolean;
  departing: Move | null;
  /** Until when it waits to arrive where its key is taken, because it was placed by a replace. */
  replacingUntilMs: number;
}

/** What a sequence has done in one partition, by the rules. */
export class PartitionModel {
  /** The latest copy of each execution that was ever here. */
  readonly copies = new Map<number, Copy>();
  /** The executions that the records are about. */
  readonly records = new Map<string, Copy>();
  /** Numbers of the executions that are kept as failures, each once for each failure. */
  readonly failures: number[] = [];
  readonly pausedTasks = new Set<string>();
  readonly wakes = new Set<string>();
  /** Moves that were made or stopped here, by their names. */
  readonly arrivals = new Map<string, 'placed' | 'stopped'>();
  /** Tokens of superseded executions that the docket remembers. */
  readonly superseded = new Set<Token>();
  readonly seenTokens = new Set<Token>();

  constructor(readonly part: Part) {}

  get alive(): Copy[] {
    return [...this.copies.values()].filter((copy) => copy.place.kind !== 'gone');
  }

  /** The copy that owns an entry. */
  owner(token: Token): Copy | undefined {
    return this.alive.find((copy) => copy.token === token && isInHand(copy));
  }

  /** The execution that has a key and has not ended. */
  holder(key: string): Copy | undefined {
    const copy = this.records.get(key);
    return copy && copy.place.kind !== 'gone' ? copy : undefined;
  }

  isCurrent(copy: Copy): boolean {
    return copy.isLean || this.records.get(copy.key) === copy;
  }

  add(copy: Copy): void {
    this.copies.set(copy.n, copy);
    if (!copy.isLean) this.records.set(copy.key, copy);
  }

  /** The execution goes on elsewhere, under another entry or none. */
  move(copy: Copy, place: Place): void {
    if (copy.place.kind === 'gone') throw new Error(`execution ${copy.n} has ended, and cannot become ${place.kind}`);
    copy.place = place;
    copy.token = null;
    copy.isExpired = false;
    copy.isAlone = false;
    copy.holdsPermits = false;
    copy.cameWithPermits = false;
  }

  /** The execution ends, here at least. Its record says so, as long as that is its own. */
  end(copy: Copy, how: TerminalState | 'replaced' | 'moved'): void {
    const keepsRecord = how !== 'replaced' && how !== 'moved' && copy.ttlMs > 0;
    if (copy.token) this.superseded.delete(copy.token);
    this.move(copy, { kind: 'gone', how });
    copy.isListed = false;
    if (!keepsRecord && this.records.get(copy.key) === copy) this.records.delete(copy.key);
  }

  /** Another execution takes the key: one that runs goes on, and nothing of it is written. */
  displace(copy: Copy): void {
    if (copy.place.kind === 'running') {
      copy.isSuperseded = true;
      copy.isListed = false;
      this.superseded.add(copy.token!);
      this.records.delete(copy.key);
    } else this.end(copy, 'replaced');
  }

  /** The executions in a line, the first first. */
  line(name: string): { readonly copy: Copy; readonly ticket: number }[] {
    return this.alive
      .flatMap((copy) =>
        copy.place.kind === 'waiting' && copy.place.line === name ? [{ copy, ticket: copy.place.ticket }] : [],
      )
      .sort((a, b) => a.ticket - b.ticket);
  }
}

/** Whether it is an entry that a worker has. */
export function isInHand({ place }: Copy): boolean {
  return place.kind === 'read' || place.kind === 'running';
}

/** Returns the state that the record of an execution shows. */
export function stateOf({ place }: Copy): ExecutionState {
  switch (place.kind) {
    case 'scheduled':
    case 'running':
      return place.kind;
    case 'ready':
    case 'read':
    case 'waiting':
      return 'queued';
    default:
      return place.how as TerminalState;
  }
}
