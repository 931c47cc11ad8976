/**
 * What a worker counts of each task: plain numbers, incremented where work passes anyway and read when somebody asks. Owns
 * the rule that labels stay few: only tasks that the worker has loaded have a name here, all else is `other`.
 */
import { Histogram, RecentDurations } from './histogram.js';

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

/** What has become of the executions of one task. Fields, not a map: they are written for every execution. */
export class TaskCounts implements Record<Count, number> {
  added = 0;
  replaced = 0;
  scheduled = 0;
  cancelled = 0;
  stricken = 0;
  superseded = 0;
  /** Attempts that began and have left their thread; those that run are told by the slot table. */
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

/** Under which everything is counted that the worker knows no task for. */
export const OTHER = 'other';

export class TaskCounters {
  /** Durations since somebody last took them, of all tasks together. */
  readonly recent = new RecentDurations();
  readonly #tasks = new Map<string, TaskCounts>();
  #other: TaskCounts | undefined;
  #lastName: string | undefined;
  #last!: TaskCounts;

  /** From now on these tasks are counted under their names. */
  know(names: Iterable<string>): void {
    for (const name of names) if (!this.#tasks.has(name)) this.#tasks.set(name, new TaskCounts());
    this.#lastName = undefined;
  }

  /** The counts to increment. Work of one task mostly comes in a row: the lookup is spared then. */
  of(task: string): TaskCounts {
    if (task !== this.#lastName) {
      this.#last = this.#tasks.get(task) ?? this.#unknown();
      this.#lastName = task;
    }
    return this.#last;
  }

  /** Under which name a task is counted. */
  labelOf(task: string): string {
    return this.#tasks.has(task) ? task : OTHER;
  }

  *tasks(): Iterable<readonly [label: string, TaskCounts]> {
    yield* this.#tasks;
    if (this.#other && !this.#tasks.has(OTHER)) yield [OTHER, this.#other];
  }

  /** The sum over all tasks. */
  total(count: Count): number {
    let sum = 0;
    for (const [, tally] of this.tasks()) sum += tally[count];
    return sum;
  }

  #unknown(): TaskCounts {
    this.#other ??= this.#tasks.get(OTHER) ?? new TaskCounts();
    return this.#other;
  }
}
