/**
 * The JSON that the server of the dashboard sends to its page: the one contract between the two. Times are milliseconds by the
 * clock of the Redis server. Every list is bounded by the server.
 */

/** `GET api/session`: what the page must know before anything else. */
export interface SessionJson {
  readonly docket: string;
  /** Without the password. */
  readonly url: string;
  readonly version: string;
  readonly isReadOnly: boolean;
  readonly showsArguments: boolean;
  /** Sent back with every change. */
  readonly csrf: string;
}

/** Any error. */
export interface ErrorJson {
  /** The code of a docket error, or one of the dashboard's own. */
  readonly code: string;
  readonly message: string;
}

export interface TotalsJson {
  readonly queued: number;
  readonly scheduled: number;
  readonly waiting: number;
  readonly paused: number;
  readonly running: number;
  readonly failures: number;
}

export interface ProgressJson {
  readonly current: number;
  readonly total: number;
  readonly message: string | null;
}

export interface RunningJson {
  readonly key: string;
  readonly task: string;
  readonly attempt: number;
  readonly worker: string;
  /** `null` when a worker has read it ahead and it has not begun. */
  readonly since: number | null;
  readonly progress: ProgressJson | null;
}

export interface PauseJson {
  /** `null` for the whole docket. */
  readonly task: string | null;
  readonly reason: string;
  readonly since: number;
}

export interface WorkerJson {
  readonly name: string;
  readonly id: string;
  readonly threads: number;
  readonly concurrency: number;
  readonly running: number;
  readonly tasks: readonly string[];
  readonly hasFallback: boolean;
  /** Whether it takes work: not while it drains, or when its connection does not answer. */
  readonly takesWork: boolean;
  readonly lastSeen: number;
}

/** The event `live` of `GET api/live`: the state of the docket, sent again whenever it has changed. */
export interface LiveJson {
  /** Counts up with every change, so that a page knows when to read its own data again. */
  readonly revision: number;
  readonly taken: number;
  readonly totals: TotalsJson;
  readonly running: readonly RunningJson[];
  readonly pauses: readonly PauseJson[];
  readonly workers: readonly WorkerJson[];
}

export type Health = 'ok' | 'warn' | 'fail';

/** A finding of `docket doctor` that asks for something to be done. */
export interface FindingJson {
  readonly check: string;
  readonly status: Health;
  readonly detail: string;
  readonly advice: string | null;
}

export interface PercentilesJson {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** Some minutes of history, together. */
export interface HistoryPointJson {
  readonly at: number;
  readonly started: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly retried: number;
  readonly waiting: PercentilesJson | null;
  readonly duration: PercentilesJson | null;
}

/** `GET api/history?minutes&task` */
export interface HistoryJson {
  readonly points: readonly HistoryPointJson[];
}

/** `GET api/executions?state`: the first of one state. */
export interface ExecutionsJson {
  readonly total: number;
  readonly executions: readonly ExecutionRowJson[];
}

export interface ExecutionRowJson {
  readonly key: string;
  readonly task: string;
  readonly state: string;
  readonly attempt: number;
  readonly when: number | null;
  readonly worker: string | null;
  readonly since: number | null;
  readonly ended: number | null;
  /** Why it waits, in words. */
  readonly waitsFor: string | null;
  /** Whether a live worker can run it; `null` where that does not matter. */
  readonly hasWorker: boolean | null;
  readonly errorLine: string | null;
}

/** `GET api/find?task&state&where&after`: a page of a listing. */
export interface FoundJson {
  readonly executions: readonly ExecutionRowJson[];
  readonly next: string | null;
}

/** `GET api/counts?task&state&where&by`: how many executions there are, by task and by the value of an argument. */
export interface CountsJson {
  readonly counts: readonly CountJson[];
  /** How many more counts there are than are listed. */
  readonly more: number;
  readonly lookedAt: number;
  /** Whether all executions were looked at. */
  readonly isWhole: boolean;
}

export interface CountJson {
  readonly task: string;
  readonly count: number;
  /** Value of the argument, with the text by which executions are found; `null` when they have none, or it may be private. */
  readonly value: { readonly json: ValueJson; readonly text: string } | null;
  /** How many values are counted together, because they may be private. */
  readonly hiddenValues: number;
}

/** `GET api/execution?key` */
export interface ExecutionJson {
  readonly key: string;
  readonly task: string;
  readonly state: string;
  readonly place: string;
  readonly hasRecord: boolean;
  readonly isCancelled: boolean;
  readonly placedAt: number | null;
  readonly when: number | null;
  readonly scheduledFor: number | null;
  readonly startedAt: number | null;
  readonly completedAt: number | null;
  readonly expiresAt: number | null;
  readonly attempt: number;
  readonly worker: string | null;
  readonly deliveries: number;
  readonly progress: ProgressJson | null;
  readonly history: readonly {
    readonly at: number;
    readonly kind: string;
    readonly attempt: number | null;
    readonly worker: string | null;
    readonly detail: string | null;
  }[];
  readonly holds: readonly { readonly description: string; readonly max: number }[];
  readonly waitsFor: { readonly description: string; readonly kind: string; readonly ahead: number | null } | null;
  readonly args: ArgumentsJson | null;
  /** As text; `null` when there is none. */
  readonly result: string | null;
  readonly error: string | null;
  readonly unknown: readonly string[];
}

/** The arguments of an execution. */
export interface ArgumentsJson {
  /** Those that may be shown, as text; `null` when none may. */
  readonly text: string | null;
  /** Names of those that may not. */
  readonly hidden: readonly string[];
}

/** `GET api/failures?task&error&sinceMs&untilMs` */
export interface FailuresJson {
  readonly failures: readonly FailureRowJson[];
  /** Groups among the newest failures that match. */
  readonly groups: readonly FailureGroupJson[];
  /** How many failures the groups count. */
  readonly counted: number;
  /** Whether fewer are listed than counted. */
  readonly isCut: boolean;
  /** Whether more may match than were counted. */
  readonly mayBeMore: boolean;
  readonly total: number;
}

export interface FailureRowJson {
  readonly id: string;
  readonly key: string | null;
  readonly task: string | null;
  readonly kind: 'failed' | 'quarantined';
  readonly errorName: string | null;
  readonly errorLine: string;
  readonly attempts: number;
  readonly worker: string | null;
  readonly failedAt: number;
}

export interface FailureGroupJson {
  readonly task: string | null;
  readonly errorName: string | null;
  readonly count: number;
  readonly newest: number;
}

/** `GET api/failure?id` */
export interface FailureJson extends FailureRowJson {
  readonly deliveries: number;
  readonly thread: number | null;
  readonly addedAt: number | null;
  readonly startedAt: number | null;
  readonly error: string | null;
  readonly args: ArgumentsJson | null;
}

/** `GET api/schedules` */
export interface SchedulesJson {
  readonly schedules: readonly ScheduleJson[];
  readonly isCut: boolean;
}

export interface ScheduleJson {
  readonly key: string;
  readonly task: string;
  readonly description: string;
  /** The expression and its zone; `null` for an interval. */
  readonly expression: string | null;
  readonly timezone: string | null;
  readonly nextRuns: readonly number[];
  readonly last: { readonly state: string; readonly at: number; readonly errorLine: string | null } | null;
  readonly runsLeft: number | null;
  readonly until: number | null;
  readonly isAutomatic: boolean;
}

/** `GET api/tasks?minutes` */
export interface TasksJson {
  readonly minutes: number;
  readonly tasks: readonly TaskJson[];
}

export interface TaskJson {
  readonly task: string;
  readonly workers: number;
  readonly pauses: readonly PauseJson[];
  /** Whether the whole task is struck. */
  readonly isStruck: boolean;
  /** What it came to in these minutes; `null` when nothing was counted. */
  readonly stats: {
    readonly started: number;
    readonly succeeded: number;
    readonly failed: number;
    readonly retried: number;
    readonly waiting: PercentilesJson | null;
    readonly duration: PercentilesJson | null;
    readonly startedByMinute: readonly number[];
  } | null;
}

/** `GET api/limits` */
export interface LimitsJson {
  readonly limits: readonly LimitJson[];
}

export interface LimitJson {
  readonly name: string;
  readonly description: string;
  readonly max: number | null;
  readonly taken: number;
  readonly waiting: number;
  readonly holders: readonly {
    readonly key: string;
    readonly task: string;
    readonly worker: string | null;
    readonly since: number | null;
  }[];
  readonly waiters: readonly { readonly key: string; readonly task: string; readonly since: number }[];
}

/** `GET api/strikes` */
export interface StrikesJson {
  readonly total: number;
  readonly strikes: readonly StrikeJson[];
}

/** A value of a strike. What JSON lacks is tagged. */
export type ValueJson =
  | string
  | number
  | boolean
  | null
  | { readonly bigint: string }
  | { readonly date: number }
  | { readonly number: string };

export type OperandJson = ValueJson | readonly [ValueJson, ValueJson];

/** A strike as it is made and taken back. */
export interface StrikeTermsJson {
  readonly task: string | null;
  readonly parameter: string | null;
  readonly operator: string | null;
  readonly value?: OperandJson;
}

export interface StrikeJson extends StrikeTermsJson {
  readonly description: string;
  readonly since: number;
}

/** `GET api/findings` */
export interface FindingsJson {
  readonly findings: readonly FindingJson[];
}

/** What a change did, in words for the person who made it. */
export interface ChangedJson {
  readonly message: string;
}
