/**
 * The counts of a worker by task: plain numbers, incremented where work passes anyway, and read by scrapes and the log.
 * Owns the rule that keeps labels few: tasks that the worker has loaded have their own, all others share `other`. Counts
 * from before the tasks are loaded are kept by name and get their label then: a count never moves from one label to another.
 */
import { DurationCounts } from '../core/duration-counts.js';
import { Histogram } from './histogram.js';

export const COUNTS = [
  'added',
  'replaced',
  'scheduled',
  'cancelled',
  'stricken',
  'superseded',
  'started',
  'completed',
  'succeeded',
  'failed',
  'retried',
  'perpetuated',
  'redelivered',
  'poisoned',
] as const;
export type Count = (typeof COUNTS)[number];

/** The counts of one task. Fields instead of a map, because they are written for every execution. */
export class TaskCounts implements Record<Count, number> {
  added = 0;
  replaced = 0;
  scheduled = 0;
  cancelled = 0;
  stricken = 0;
  superseded = 0;
  /** Attempts that began and have left their thread; the slot table has those that still run. */
  started = 0;
  completed = 0;
  succeeded = 0;
  failed = 0;
  retried = 0;
  perpetuated = 0;
  redelivered = 0;
  poisoned = 0;
  /** How long attempts took, in milliseconds. */
  readonly duration = new Histogram();
  /** How long after their due time they began, in milliseconds. */
  readonly punctuality = new Histogram();
}

/** The label of all tasks that the worker has not loaded. */
export const OTHER_LABEL = 'other';

/** The maximum number of names that are counted apart before the tasks are loaded. Further names count as `other`. */
const MAX_EARLY_NAMES = 1_000;

export class TaskCounters {
  /** Durations of attempts of all tasks since the last `reset`. */
  readonly recent = new DurationCounts();
  readonly #tasks = new Map<string, TaskCounts>();
  #other: TaskCounts | undefined;
  /** Counts by name until the tasks are known; `null` from then on. */
  #early: Map<string, TaskCounts> | null = new Map();
  #lastName: string | undefined;
  #last!: TaskCounts;

  /** Counts these tasks under their own names from now on. */
  addTasks(names: Iterable<string>): void {
    const early = this.#early ?? new Map<string, TaskCounts>();
    this.#early = null;
    for (const name of names) {
      if (!this.#tasks.has(name)) this.#tasks.set(name, early.get(name) ?? new TaskCounts());
      early.delete(name);
    }
    for (const counts of early.values()) {
      for (const count of COUNTS) this.#unlabelled()[count] += counts[count];
    }
    this.#lastName = undefined;
  }

  /** Returns the counts of a task, to increment. Skips the lookup for the task of the last call: tasks tend to repeat. */
  of(task: string): TaskCounts {
    if (task !== this.#lastName) {
      this.#last = this.#tasks.get(task) ?? this.#earlyCounts(task) ?? this.#unlabelled();
      this.#lastName = task;
    }
    return this.#last;
  }

  /** Returns the label under which a task is counted. */
  labelOf(task: string): string {
    return this.#tasks.has(task) ? task : OTHER_LABEL;
  }

  /** Yields the counts of each label. Before the tasks are known, only `other` has any. */
  *tasks(): Iterable<readonly [label: string, TaskCounts]> {
    yield* this.#tasks;
    if (this.#other && !this.#tasks.has(OTHER_LABEL)) yield [OTHER_LABEL, this.#other];
  }

  /** Returns the sum over all tasks. */
  total(count: Count): number {
    let sum = 0;
    for (const [, counts] of this.tasks()) sum += counts[count];
    return sum;
  }

  #earlyCounts(task: string): TaskCounts | undefined {
    const early = this.#early;
    if (!early) return undefined;
    if (!early.has(task) && early.size < MAX_EARLY_NAMES) early.set(task, new TaskCounts());
    return early.get(task);
  }

  #unlabelled(): TaskCounts {
    this.#other ??= this.#tasks.get(OTHER_LABEL) ?? new TaskCounts();
    return this.#other;
  }
}
