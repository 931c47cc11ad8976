/** Counts what the tasks of this thread add, and reports it now and then: one message for however many. */
import type { PlacementCount, Placements } from '../core/protocol.js';

const REPORT_AFTER_MS = 100;

export class PlacementCounter {
  readonly #report: (placements: Placements) => void;
  readonly #counts = new Map<PlacementCount, Map<string, number>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(report: (placements: Placements) => void) {
    this.#report = report;
  }

  add(what: PlacementCount, task: string): void {
    const counts = this.#counts.get(what) ?? new Map<string, number>();
    this.#counts.set(what, counts);
    counts.set(task, (counts.get(task) ?? 0) + 1);
    this.#timer ??= setTimeout(() => this.flush(), REPORT_AFTER_MS).unref();
  }

  /** Reports at once what there is. */
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
