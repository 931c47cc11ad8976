/** `docket.history()` and `docket.stats()`: what the workers of a docket counted in the last two days. */
import type { Redis } from 'ioredis';
import { DurationCounts } from '../core/duration-counts.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames, shown } from '../core/options.js';
import { addStored, MINUTE_MS, readHistory, type TallySum, type TaskTally } from '../redis/history-store.js';
import type { Keys } from '../redis/keys.js';
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

/** Returns every minute that was asked for, the oldest first. */
export async function takeHistory(redis: Redis, keys: Keys, query: HistoryQuery): Promise<HistoryMinute[]> {
  const minutes: HistoryMinute[] = [];
  for await (const { atMs, tallies } of readHistory(redis, keys, query)) {
    const sum = new Sum();
    for (const [, text] of tallies) addStored(text, sum);
    minutes.push({ at: new Date(atMs), ...countsOf(sum), ...timesOf(sum) });
  }
  return minutes;
}

/** Returns the tasks of which anything was counted, sorted by their names. */
export async function takeStats(redis: Redis, keys: Keys, query: HistoryQuery): Promise<TaskStats[]> {
  const sums = new Map<string, Sum>();
  let minute = 0;
  for await (const { tallies } of readHistory(redis, keys, query)) {
    for (const [task, text] of tallies) {
      const sum = sums.get(task) ?? new Sum(query.minutes);
      sums.set(task, sum);
      sum.add(text, minute);
    }
    minute += 1;
  }
  const names = [...sums.keys()].sort();
  return names.map((task) => {
    const sum = sums.get(task)!;
    const { startedByMinute, failedByMinute } = sum;
    return { task, ...countsOf(sum), ...timesOf(sum), startedByMinute, failedByMinute };
  });
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
    this.startedByMinute[minute] = this.started - started;
    this.failedByMinute[minute] = this.failed - failed;
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
