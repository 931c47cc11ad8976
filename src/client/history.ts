/** `docket.history()` and `docket.stats()`: what the workers of a docket counted in the last two days. */
import { DurationCounts } from '../core/duration-counts.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames, shown } from '../core/options.js';
import { MINUTE_MS, type RecordedMinute, type TaskTally } from '../redis/history-store.js';
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
import { taskNameOf } from './task-name.js';

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
  return { minutes: checkedMinutes(minutes), field: task === undefined ? HISTORY.all : checkedName(task) };
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

function checkedName(task: NonNullable<HistoryOptions['task']>): string {
  const name: unknown = taskNameOf(task);
  if (typeof name === 'string' && name !== '') return name;
  throw new InvalidOptionError('task', `expected a task or its name, got ${shown(task)}`);
}

/** The minutes of one partition, the oldest first. */
export type Minutes = readonly RecordedMinute[];

/**
 * Puts the minutes of all partitions together, the oldest first. Each partition has the minutes of its server: at the turn of
 * a minute, one may be ahead.
 */
function minutesOf(partitions: readonly Minutes[]) {
  const byTime = new Map<number, ReadonlyMap<string, TaskTally>[]>();
  const count = partitions[0]?.length ?? 0;
  for (const { atMs, tallies } of partitions.flat()) {
    const known = byTime.get(atMs);
    if (known) known.push(tallies);
    else byTime.set(atMs, [tallies]);
  }
  const minutes = [...byTime].sort(([a], [b]) => a - b).map(([atMs, tallies]) => ({ atMs, tallies }));
  return minutes.slice(minutes.length - count);
}

/** Returns every minute that was asked for, the oldest first. */
export function historyOf(partitions: readonly Minutes[], query: HistoryQuery): HistoryMinute[] {
  return minutesOf(partitions).map(({ atMs, tallies }) => {
    const sum = new Sum();
    for (const one of tallies) sum.addCounts(one.get(query.field!));
    return { at: new Date(atMs), ...countsOf(sum), ...timesOf(sum) };
  });
}

/** Returns the tasks of which anything was counted, sorted by their names. */
export function statsOf(partitions: readonly Minutes[], query: HistoryQuery): TaskStats[] {
  const sums = new Map<string, Sum>();
  for (const [minute, { tallies }] of minutesOf(partitions).entries()) {
    for (const [task, tally] of tallies.flatMap((one) => [...one])) {
      const sum = sums.get(task) ?? new Sum(query.minutes);
      sums.set(task, sum);
      sum.add(tally, minute);
    }
  }
  const names = [...sums.keys()].sort();
  return names.map((task) => {
    const sum = sums.get(task)!;
    const { startedByMinute, failedByMinute } = sum;
    return { task, ...countsOf(sum), ...timesOf(sum), startedByMinute, failedByMinute };
  });
}

/** The tallies of some minutes together. */
class Sum implements TaskTally {
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

  add(tally: TaskTally, minute: number): void {
    this.addCounts(tally);
    this.startedByMinute[minute]! += tally.started;
    this.failedByMinute[minute]! += tally.failed;
  }

  /** Adds a tally without its minute; none adds nothing. */
  addCounts(tally: TaskTally | undefined): void {
    if (!tally) return;
    this.started += tally.started;
    this.succeeded += tally.succeeded;
    this.failed += tally.failed;
    this.retried += tally.retried;
    this.waiting.addAll(tally.waiting);
    this.duration.addAll(tally.duration);
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
