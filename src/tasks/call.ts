/**
 * Calls of tasks: the types of `add`, shared by the client and the context of a task, and calls prepared for `addMany`.
 */
import type { Duration } from '../core/duration.js';
import type { AnyTask, Task } from './declared-task.js';

/** Options of an `add`. */
export interface AddOptions {
  /**
   * Identity of the execution, 1 to 512 bytes. While an execution is scheduled, queued or running under this key,
   * another `add` changes nothing.
   * @default a new unique key; generated keys sort by time
   */
  key?: string;
  /**
   * When the execution is due: at a point in time, or after a duration from now. A time in the past means now.
   * @default now
   */
  when?: Date | Duration;
}

/** The parameters after the task in `add`. The arguments may be left out when none of them is required. */
export type AddRest<A> = {} extends A ? [args?: A, options?: AddOptions] : [args: A, options?: AddOptions];

/** The arguments that callers pass to a task. */
export type ArgumentsOf<T> = T extends Task<string, infer A, unknown> ? A : never;

/** The type that the body of a task returns. */
export type ResultOf<T> = T extends Task<string, never, infer R> ? R : never;

/** A prepared `add` for `addMany`, which keeps a batch of different tasks typed. */
export interface Call<R> {
  readonly task: Task<string, never, R>;
  readonly args: object;
  readonly options?: AddOptions;
}

/** The type that the task of a call returns; a union for a batch of different tasks. */
export type CallResult<C> = C extends Call<infer R> ? R : never;

/**
 * Prepares an `add` for `addMany`. Nothing is checked or sent yet.
 * @example
 * ```ts
 * await docket.addMany([call(hello, { name: 'ada' }), call(charge, { orderId: 1 }, { key: 'charge-1' })]);
 * ```
 */
export function call<A extends object, R>(task: Task<string, A, R>, ...rest: AddRest<NoInfer<A>>): Call<R>;
export function call(task: AnyTask, args: object = {}, options?: AddOptions): Call<unknown> {
  return Object.freeze(options === undefined ? { task, args } : { task, args, options });
}
