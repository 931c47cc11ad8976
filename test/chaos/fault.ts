/** What a fault is: how it is planned, what it may do to executions, and how it begins and ends. */
import type { Loss, Reach } from './history.js';
import type { Topology } from './topology.js';
import type { World } from './world.js';

/** What a fault has to itself while it lasts. */
export type Resource = 'worker' | 'producers' | 'server';

/** Undoes a fault. It resolves once that is done, so that nothing of the fault is left. */
export type Mend = () => Promise<void>;

export interface Fault {
  /** The family in the list of faults, F1 to F17. */
  readonly family: string;
  readonly name: string;
  readonly resources: readonly Resource[];
  /** For how long it lasts, in milliseconds, at least and at most. */
  readonly lastsMs: readonly [number, number];
  /** What may run twice because of it. */
  readonly reach: Reach;
  /** Whether no outcome can be written while it lasts, by the worker that it hits or by any. @default false */
  readonly holdsOutcomes?: boolean;
  /** Whether a worker is drained: outcomes that it cannot write by then are lost to it. @default false */
  readonly drains?: boolean;
  /** @default 'nothing' */
  readonly loses?: Loss;
  /** @default all */
  readonly topologies?: readonly Topology[];
  /**
   * Whether it is made only when its name is asked for: it loses so much, or takes so long, that others cannot be
   * judged.
   * @default false
   */
  readonly isOnlyByName?: boolean;
  /** Begins it; on this worker, if it is about one. */
  start(world: World, worker: number): Promise<Mend>;
}
