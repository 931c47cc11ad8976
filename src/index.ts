/** Entry `docket`: what declares and enqueues work. Loads neither the thread pool nor the command line. */
export { Docket } from './client/docket.js';
export type { DocketOptions, ErrorClass } from './client/options.js';
export type { Duration } from './core/duration.js';
export * from './core/errors.js';
export type { Disposition, ExecutionState, TerminalState } from './core/states.js';
export { type AddOptions, type ArgumentsOf, type Call, call, type ResultOf } from './tasks/call.js';
export { type Collection, collection } from './tasks/collection.js';
export type { Logger, RetryControl, TaskContext, TaskDocket } from './tasks/context.js';
export type { Execution, ResultOptions } from './tasks/execution.js';
export {
  type ExponentialRetryOptions,
  exponentialRetry,
  type RetryOptions,
  type RetryPolicy,
  retry,
} from './tasks/policies.js';
export { type AnyTask, type Task, type TaskOptions, task } from './tasks/task.js';
