/**
 * Bounds the lines about executions, which may be thousands a second. Owns the rule for it: of one kind of line about one task
 * the first ten in ten seconds are written, and then how many more there were.
 */
import type { Logger } from '../tasks/context.js';

const LINES = 10;
const PERIOD_MS = 10_000;

type Level = 'info' | 'warn' | 'error';

/** One kind of line. `what` follows the name of the task where the lines are only counted. */
export interface FloodKind {
  readonly level: Level;
  readonly what: string;
}

interface Flood extends FloodKind {
  readonly task: string;
  count: number;
}

export class FloodLog {
  readonly #logger: Logger;
  /** What was logged in this period, by kind and task. */
  readonly #floods = new Map<string, Flood>();
  #timer: NodeJS.Timeout | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Calls `write`, which writes the line, unless there were too many of this kind about this task. */
  log({ level, what }: FloodKind, task: string, write: () => void): void {
    const name = `${level} ${what} ${task}`;
    const flood = this.#floods.get(name) ?? { level, what, task, count: 0 };
    flood.count += 1;
    this.#floods.set(name, flood);
    this.#timer ??= setTimeout(() => this.endPeriod(), PERIOD_MS).unref();
    if (flood.count <= LINES) write();
  }

  /** Logs how many lines were not written one by one, and begins to count again. */
  endPeriod(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { level, what, task, count } of this.#floods.values()) {
      const more = count - LINES;
      if (more <= 0) continue;
      this.#logger[level]({ task, count: more }, `${task} ${what} ${more} more times in ${PERIOD_MS / 1_000} seconds`);
    }
    this.#floods.clear();
  }
}
