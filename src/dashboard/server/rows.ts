/** Turns what a docket returns into the JSON of the API. */
import type { ExecutionDetails } from '../../tasks/details.js';
import type { Failure } from '../../tasks/failures.js';
import type { HistoryMinute } from '../../tasks/history.js';
import { limitText, waitText } from '../../tasks/limit-text.js';
import type { ListedExecution } from '../../tasks/listing.js';
import type { Schedule } from '../../tasks/schedules.js';
import type { FutureEntry, QueuedEntry, RunningEntry, SnapshotEntry, WaitingEntry } from '../../tasks/snapshot.js';
import type {
  ExecutionJson,
  ExecutionRowJson,
  FailureJson,
  FailureRowJson,
  HistoryPointJson,
  ScheduleJson,
} from '../api.js';
import { argumentsJson, decodedText, shortened } from './text.js';

type IsShown = (name: string) => boolean;

export function msOf(date: Date | null): number | null {
  return date === null ? null : date.getTime();
}

const ROW = { when: null, worker: null, since: null, ended: null, waitsFor: null, hasWorker: null, errorLine: null };

function row(
  { key, task, attempt, priority }: Pick<ListedExecution, keyof SnapshotEntry>,
  state: string,
  more: Partial<ExecutionRowJson>,
): ExecutionRowJson {
  return { ...ROW, key, task, attempt, priority, state, ...more };
}

export const rowOf = {
  running: (entry: RunningEntry) => row(entry, 'running', { worker: entry.worker, since: msOf(entry.since) }),
  queued: (entry: QueuedEntry) => row(entry, 'queued', { when: entry.when.getTime(), hasWorker: entry.hasWorker }),
  scheduled: (entry: FutureEntry) => {
    const { when, hasWorker, waitingFor } = entry;
    const waitsFor = waitingFor && waitText(waitingFor);
    return row(entry, 'scheduled', { when: when.getTime(), hasWorker, waitsFor });
  },
  waiting: (entry: WaitingEntry) => {
    const waitsFor = entry.isPaused ? 'its task is paused' : `limit ${limitText(entry.waitingFor)}`;
    return row(entry, 'queued', { waitsFor });
  },
} as const;

export function rowOfListed(listed: ListedExecution): ExecutionRowJson {
  const { state, when, worker, startedAt, completedAt, error, waitingFor } = listed;
  return row(listed, state, {
    when: when.getTime(),
    worker,
    since: msOf(startedAt),
    ended: msOf(completedAt),
    waitsFor: waitingFor && waitText(waitingFor),
    errorLine: error,
  });
}

export function executionJson(details: ExecutionDetails, isShown: IsShown): ExecutionJson {
  const { key, task, state, place, hasRecord, isCancelled, attempt, worker, deliveries, progress } = details;
  const { history, holds, waitsFor, unknown, priority } = details;
  return {
    ...{ key, task, state, place, hasRecord, isCancelled, attempt, priority, worker, deliveries },
    placedAt: msOf(details.placedAt),
    when: msOf(details.when),
    scheduledFor: msOf(details.scheduledFor),
    startedAt: msOf(details.startedAt),
    completedAt: msOf(details.completedAt),
    expiresAt: msOf(details.expiresAt),
    progress: progress && { current: progress.current, total: progress.total, message: progress.message },
    history: history.map(({ at, ...item }) => ({ ...item, at: at.getTime() })),
    holds: holds.map(({ description, max }) => ({ description, max })),
    waitsFor: waitsFor && { description: waitsFor.description, kind: waitsFor.kind, ahead: waitsFor.ahead },
    args: argumentsJson(details.args, isShown),
    result: decodedText(details.result),
    error: decodedText(details.error) ?? details.errorLine,
    unknown,
  };
}

export function failureRow(failure: Failure): FailureRowJson {
  const { id, key, task, kind, errorName, errorLine, attempts, priority, worker, failedAt } = failure;
  const line = shortened(errorLine, 500);
  return { id, key, task, kind, errorName, errorLine: line, attempts, priority, worker, failedAt: failedAt.getTime() };
}

export function failureJson(failure: Failure, isShown: IsShown): FailureJson {
  const { deliveries, thread, addedAt, startedAt, error, errorLine } = failure;
  return {
    ...failureRow(failure),
    ...{ deliveries, thread },
    addedAt: msOf(addedAt),
    startedAt: msOf(startedAt),
    error: error === null ? shortened(errorLine) : decodedText(() => error),
    args: argumentsJson(() => failure.args(), isShown),
  };
}

export function scheduleJson(schedule: Schedule): ScheduleJson {
  const { key, task, policy, description, nextRuns, lastOutcome, runsLeft, until, isAutomatic } = schedule;
  return {
    ...{ key, task, description, runsLeft, isAutomatic },
    expression: policy.kind === 'cron' ? policy.expression : null,
    timezone: policy.kind === 'cron' ? policy.timezone : null,
    nextRuns: nextRuns.map((date) => date.getTime()),
    last: lastOutcome && {
      state: lastOutcome.state,
      at: lastOutcome.at.getTime(),
      errorLine: lastOutcome.errorLine === null ? null : shortened(lastOutcome.errorLine, 500),
    },
    until: msOf(until),
  };
}

/** Joins minutes, so that a chart has at most this many points. The percentiles of a point are the longest ones of its minutes. */
export function pointsOf(minutes: readonly HistoryMinute[], most: number): HistoryPointJson[] {
  const each = Math.ceil(minutes.length / most);
  const points: HistoryPointJson[] = [];
  for (let i = 0; i < minutes.length; i += each) points.push(pointOf(minutes.slice(i, i + each)));
  return points;
}

function pointOf(minutes: readonly HistoryMinute[]): HistoryPointJson {
  const sum = (name: 'started' | 'succeeded' | 'failed' | 'retried') =>
    minutes.reduce((total, minute) => total + minute[name], 0);
  const longest = (name: 'waiting' | 'duration') =>
    minutes
      .map((minute) => minute[name])
      .reduce((a, b) => (a === null ? b : b === null ? a : b.p95Ms > a.p95Ms ? b : a), null);
  return {
    at: minutes[0]!.at.getTime(),
    ...{ started: sum('started'), succeeded: sum('succeeded'), failed: sum('failed'), retried: sum('retried') },
    ...{ waiting: longest('waiting'), duration: longest('duration') },
  };
}
