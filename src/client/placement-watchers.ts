/** Reports the placements of one docket to the watchers that count them for metrics. */
import type { CountedPlacement } from '../core/states.js';
import { dueTimeOf } from './added-execution.js';
import type { PlacementWatcher } from './internals.js';
import type { PreparedCall } from './prepare.js';
import { StruckCall } from './strike-filter.js';
import type { PlacementResult } from './writer.js';

export class PlacementWatchers {
  readonly #watchers = new Set<PlacementWatcher>();

  /** Calls `watcher` for each placement until the returned function is called. */
  add(watcher: PlacementWatcher): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Reports the result of a call. One that found its key taken changed nothing, and is not counted. */
  report(kind: 'added' | 'replaced', call: PreparedCall, result: PlacementResult): void {
    if (this.#watchers.size === 0) return;
    if (result instanceof StruckCall) return this.#count('stricken', call.task);
    if (!result.isNew) return;
    this.#count(kind, call.task);
    if (dueTimeOf(call.due, result.nowMs) > result.nowMs) this.#count('scheduled', call.task);
  }

  #count(placement: CountedPlacement, task: string): void {
    for (const watcher of this.#watchers) watcher(placement, task);
  }
}
