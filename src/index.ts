/** The entry `docket`, for programs that declare and enqueue work. Loads neither the thread pool nor the command line. */
export { Docket } from './client/docket.js';
export type { DocketOptions, DurabilityOptions, ErrorClass } from './client/options.js';
export { StrikeList, type StrikeListOptions } from './client/strike-list.js';
export type { Duration } from './core/duration.js';
export * from './core/errors.js';
export type { Priority } from './core/priority.js';
export type { Credential, ServerConnectionOptions, TlsOptions } from './core/server-connection.js';
export type { Disposition, ExecutionState, TerminalState } from './core/states.js';
export { Agenda, type AgendaAddOptions, type ScatterOptions } from './tasks/agenda.js';
export { fail, sleep, trace } from './tasks/builtin.js';
export {
  type AddOptions,
  type ArgumentsOf,
  type Call,
  type CallByName,
  call,
  type ReplaceOptions,
  type ResultOf,
} from './tasks/call.js';
export type { CancelFilter, CancellableState, CancelReport, CancelResult } from './tasks/cancelling.js';
export { type Collection, collection } from './tasks/collection.js';
export {
  type ConfigureOptions,
  configure,
  type FailedContext,
  type FailedExecution,
  type OnFailed,
  type WorkerConfiguration,
} from './tasks/configure.js';
export type {
  Logger,
  PerpetualControl,
  RetryControl,
  TaskContext,
  TaskDocket,
  TaskLogger,
  ThreadContext,
  TimeoutControl,
} from './tasks/context.js';
export type { CountOptions, ExecutionCount, ExecutionCounts } from './tasks/counting.js';
export {
  type Dependencies,
  type Dependency,
  depends,
  type Injected,
  type SharedDependencies,
  type SharedDependency,
  shared,
} from './tasks/dependencies.js';
export type {
  ExecutionDetails,
  FailedAttempt,
  HeldPermit,
  HistoryItem,
  LimitWait,
} from './tasks/details.js';
export type { ExecutionEvent, ProgressEvent, StateEvent } from './tasks/events.js';
export type { Execution, ResultOptions, SubscribeOptions } from './tasks/execution.js';
export type {
  Failure,
  FailureFilter,
  FailureGroup,
  FailureGroupFilter,
  RetriedFailure,
  RetryReport,
} from './tasks/failures.js';
export type {
  AttemptCounts,
  AttemptTimes,
  HistoryMinute,
  HistoryOptions,
  Percentiles,
  StatsOptions,
  TaskStats,
} from './tasks/history.js';
export type { LimitHolder, LimitInfo, LimitsOptions, LimitWaiter } from './tasks/limit-info.js';
export type { ListedExecution, ListFilter, ListOptions, ListPage, ListPageOptions } from './tasks/listing.js';
export type { PolicyOverrides } from './tasks/overrides.js';
export type { Pause, PauseOptions, ResumeOptions } from './tasks/pause.js';
export {
  type ConcurrencyLimitOptions,
  type CooldownOptions,
  type CronOptions,
  concurrencyLimit,
  cooldown,
  cron,
  type DebounceOptions,
  debounce,
  type ExponentialRetryOptions,
  exponentialRetry,
  type LimitPolicy,
  type PerpetualOptions,
  type PerpetualPolicy,
  perpetual,
  type RateLimitOptions,
  type RetryOptions,
  type RetryPolicy,
  rateLimit,
  retry,
} from './tasks/policies.js';
export type { ExecutionProgress, Progress } from './tasks/progress.js';
export type { Schedule, SchedulePolicy, SchedulesOptions } from './tasks/schedules.js';
export type { StandardSchema } from './tasks/schema.js';
export type {
  FutureEntry,
  QueuedEntry,
  RunningEntry,
  Snapshot,
  SnapshotEntry,
  SnapshotOptions,
  WaitingEntry,
  WorkerInfo,
} from './tasks/snapshot.js';
export type { StrikeInfo } from './tasks/strike-info.js';
export type { ExecutionSummary, ProgressSummary } from './tasks/summary.js';
export {
  type AnyTask,
  type InputOption,
  type Task,
  type TaskOptions,
  task,
  type UnknownArgument,
} from './tasks/task.js';
export type { StrikeOperand, StrikeOperator, StrikeValue } from './wire/strikes.js';
