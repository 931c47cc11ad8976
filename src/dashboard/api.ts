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

export type PriorityJson = 'high' | 'normal' | 'low';

export interface RunningJson {
  readonly key: string;
  readonly task: string;
  readonly attempt: number;
  readonly priority: PriorityJson;
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
  /** Whether it is about to end; `false` also when its version does not say so. */
  readonly isDraining: boolean;
  /** Version of docket; `null` when it is older than this field. */
  readonly version: string | null;
  readonly nodeVersion: string | null;
  readonly lastSeen: number;
}

/** The event `live` of `GET api/live`: the state of the docket, sent again whenever it has changed. */
export interface LiveJson {
  /** Counts up with every change, so that a page knows when to read its own data again. */
  readonly revision: number;
  readonly taken: number;
  readonly totals: TotalsJson;
  /** Since when the execution has been due that is read next; `null` when nothing is queued. */
  readonly oldestDue: number | null;
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
  /** `null` once it has ended. */
  readonly priority: PriorityJson | null;
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
  readonly lookedAt: number;
  readonly next: string | null;
}

/** `GET api/count?task&state&where&after`: how many there are on a page of what `api/find` goes through. */
export interface CountJson {
  readonly count: number;
  readonly lookedAt: number;
  readonly next: string | null;
}

/** `GET api/value-counts?task&state&where&by`: how many executions there are, by task and by the value of an argument. */
export interface ValueCountsJson {
  readonly counts: readonly ValueCountJson[];
  /** How many more counts there are than are listed. */
  readonly more: number;
  readonly lookedAt: number;
  /** Whether all executions were looked at. */
  readonly isWhole: boolean;
}

export interface ValueCountJson {
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
  /** `null` once it has ended. */
  readonly priority: PriorityJson | null;
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

/** `GET api/failures?task&error&since&until&before`: a page of failures, the newest first. */
export interface FailuresJson {
  readonly failures: readonly FailureRowJson[];
  /** What `before` is for the next page; `null` when this is the last one. */
  readonly next: string | null;
}

export interface FailureRowJson {
  readonly id: string;
  readonly key: string | null;
  readonly task: string | null;
  readonly kind: 'failed' | 'quarantined';
  readonly errorName: string | null;
  readonly errorLine: string;
  readonly attempts: number;
  readonly priority: PriorityJson;
  readonly worker: string | null;
  readonly failedAt: number;
}

/** `GET api/failure-groups?task&error&since&until&before`: some thousand failures, counted by task and error. */
export interface FailureGroupsJson {
  readonly groups: readonly FailureGroupJson[];
  /** What `before` is for the next page, to be added to this one; `null` when all were counted. */
  readonly next: string | null;
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
  /** In words, none for a task without policies; `null` when no worker has told them. */
  readonly policies: readonly string[] | null;
  /** Whether live workers have told different ones, as during a deploy. */
  readonly doPoliciesDiffer: boolean;
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

/** A value of a strike. Values that JSON lacks are tagged. */
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
  /** How many executions were cancelled by a filter. */
  readonly cancelled?: number;
  /** Whether more may match, because it ended at its bound. */
  readonly isMore?: boolean;
}

/** What a filter of executions says, as it is sent with `POST api/cancel-many`. */
export interface ExecutionFilterJson {
  readonly task?: string;
  readonly state?: string;
  readonly where?: string;
}
