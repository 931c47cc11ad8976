/**
 * Counts the executions that this thread's tasks add through `ctx.docket`, and reports at most once every 100 ms.
 */
import type { PlacementCounts } from '../channel/protocol.js';
import type { CountedPlacement } from '../core/states.js';

const REPORT_AFTER_MS = 100;

export class PlacementCounter {
  readonly #report: (placements: PlacementCounts) => void;
  readonly #counts = new Map<CountedPlacement, Map<string, number>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(report: (placements: PlacementCounts) => void) {
    this.#report = report;
  }

  /** Counts one placement of a task. */
  add(what: CountedPlacement, task: string): void {
    const counts = this.#counts.get(what) ?? new Map<string, number>();
    this.#counts.set(what, counts);
    counts.set(task, (counts.get(task) ?? 0) + 1);
    this.#timer ??= setTimeout(() => this.flush(), REPORT_AFTER_MS).unref();
  }

  /** Reports the counts at once, if there are any. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const placements = [...this.#counts].flatMap(([what, counts]) =>
      Array.from(counts, ([task, count]) => [what, task, count] as const),
    );
    this.#counts.clear();
    if (placements.length > 0) this.#report(placements);
  }
}
