/** `docket.history()` and `docket.stats()`: what the workers of a docket counted in the last two days. */
import { DurationCounts } from '../core/duration-counts.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames, shown } from '../core/options.js';
import { addStored, MINUTE_MS, type RecordedMinute, type TallySum, type TaskTally } from '../redis/history-store.js';
import { HISTORY, HISTORY_TTL_MS } from '../redis/schema.js';
import type {
  AttemptCounts,
  AttemptTimes,
  HistoryMinute,
  HistoryOptions,
  Percentiles,
  StatsOptions,
  TaskStats,
} from '../tasks/history.js';
import { checkedTaskName } from './task-name.js';

const DEFAULT_MINUTES = 60;
const MAX_MINUTES = HISTORY_TTL_MS / MINUTE_MS;

const HISTORY_OPTIONS = optionNames<HistoryOptions>({ task: true, minutes: true });
const STATS_OPTIONS = optionNames<StatsOptions>({ minutes: true });

/** What is read of the history. */
export interface HistoryQuery {
  readonly minutes: number;
  /** The field of each minute; `null` for one of each task. */
  readonly field: string | null;
}

/** @throws InvalidOptionError when `minutes` is out of range, or `task` is no task */
export function historyQuery(options: HistoryOptions): HistoryQuery {
  checkOptionNames(options, HISTORY_OPTIONS, 'history.');
  const { task, minutes = DEFAULT_MINUTES } = options;
  return { minutes: checkedMinutes(minutes), field: task === undefined ? HISTORY.all : checkedTaskName(task) };
}

/** @throws InvalidOptionError when `minutes` is out of range */
export function statsQuery(options: StatsOptions): HistoryQuery {
  checkOptionNames(options, STATS_OPTIONS, 'stats.');
  return { minutes: checkedMinutes(options.minutes ?? DEFAULT_MINUTES), field: null };
}

function checkedMinutes(minutes: number): number {
  if (Number.isSafeInteger(minutes) && minutes >= 1 && minutes <= MAX_MINUTES) return minutes;
  throw new InvalidOptionError('minutes', `expected a whole number from 1 to ${MAX_MINUTES}, got ${shown(minutes)}`);
}

/**
 * Reads the minutes of one partition, the oldest first. Each partition has the minutes of its server: at the turn of a minute,
 * one may be ahead of the others.
 */
export type Minutes = AsyncIterable<RecordedMinute>;

/** The counts of all partitions, minute by minute. */
export class HistorySums {
  readonly #minutes: number;
  readonly #sums = new Map<number, Sum>();

  constructor({ minutes }: HistoryQuery) {
    this.#minutes = minutes;
  }

  /** Adds those of a partition. */
  async add(minutes: Minutes): Promise<void> {
    for await (const { atMs, tallies } of minutes) {
      const sum = this.#sums.get(atMs) ?? new Sum();
      this.#sums.set(atMs, sum);
      for (const [, text] of tallies) addStored(text, sum);
    }
  }

  /** Returns every minute that was asked for, the oldest first. */
  list(): HistoryMinute[] {
    const minutes = [...this.#sums].sort(([a], [b]) => a - b).slice(-this.#minutes);
    return minutes.map(([atMs, sum]) => ({ at: new Date(atMs), ...countsOf(sum), ...timesOf(sum) }));
  }
}

/** The counts of all partitions, task by task. */
export class StatsSums {
  readonly #minutes: number;
  readonly #sums = new Map<string, Sum>();
  #firstMs: number | null = null;

  constructor({ minutes }: HistoryQuery) {
    this.#minutes = minutes;
  }

  /** Adds those of a partition. */
  async add(minutes: Minutes): Promise<void> {
    for await (const { atMs, tallies } of minutes) {
      this.#firstMs ??= atMs;
      const minute = (atMs - this.#firstMs) / MINUTE_MS;
      for (const [task, text] of tallies) {
        const sum = this.#sums.get(task) ?? new Sum(this.#minutes);
        this.#sums.set(task, sum);
        sum.add(text, Math.min(Math.max(minute, 0), this.#minutes - 1));
      }
    }
  }

  /** Returns the tasks of which anything was counted, sorted by their names. */
  list(): TaskStats[] {
    const names = [...this.#sums.keys()].sort();
    return names.map((task) => {
      const sum = this.#sums.get(task)!;
      const { startedByMinute, failedByMinute } = sum;
      return { task, ...countsOf(sum), ...timesOf(sum), startedByMinute, failedByMinute };
    });
  }
}

/** The tallies of some minutes together. */
class Sum implements TallySum {
  started = 0;
  succeeded = 0;
  failed = 0;
  retried = 0;
  readonly waiting = new DurationCounts();
  readonly duration = new DurationCounts();
  readonly startedByMinute: number[];
  readonly failedByMinute: number[];

  constructor(minutes = 0) {
    this.startedByMinute = new Array(minutes).fill(0);
    this.failedByMinute = new Array(minutes).fill(0);
  }

  add(text: string, minute: number): void {
    const { started, failed } = this;
    addStored(text, this);
    this.startedByMinute[minute]! += this.started - started;
    this.failedByMinute[minute]! += this.failed - failed;
  }
}

function countsOf({ started, succeeded, failed, retried }: TaskTally): AttemptCounts {
  return { started, succeeded, failed, retried };
}

function timesOf({ waiting, duration }: TaskTally): AttemptTimes {
  return { waiting: percentilesOf(waiting), duration: percentilesOf(duration) };
}

function percentilesOf(counts: DurationCounts): Percentiles | null {
  if (counts.isEmpty) return null;
  const [p50Ms, p95Ms, p99Ms] = [0.5, 0.95, 0.99].map((share) => rounded(counts.quantile(share))) as Three;
  return { p50Ms, p95Ms, p99Ms };
}

type Three = [number, number, number];

/** Rounds to three digits: percentiles are not exact anyway. */
function rounded(ms: number): number {
  return Number(ms.toPrecision(3));
}
