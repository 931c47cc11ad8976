/** How a task is called: the typing of `add`, shared by the client and the context of a task. */
import type { Duration } from '../core/duration.js';
import type { AnyTask, Task } from './declared-task.js';

export interface AddOptions {
  /**
   * Identity of the execution, 1 to 512 bytes: while one is scheduled, queued or running under this key, adding another
   * one changes nothing.
   * @default a new unique key, ordered by time
   */
  key?: string;
  /**
   * When it is due: a point in time, or a duration from now. The past means now.
   * @default now
   */
  when?: Date | Duration;
}

/** What follows the task in `add`: the arguments may be left out when none of them is required. */
export type AddRest<A> = {} extends A ? [args?: A, options?: AddOptions] : [args: A, options?: AddOptions];

/** What callers give to a task. */
export type ArgumentsOf<T> = T extends Task<string, infer A, unknown> ? A : never;

/** What a task's body returns. */
export type ResultOf<T> = T extends Task<string, never, infer R> ? R : never;

/** One prepared `add`, for `addMany`: a batch of mixed tasks stays typed. */
export interface Call<R> {
  readonly task: Task<string, never, R>;
  readonly args: object;
  readonly options?: AddOptions;
}

/** What the task of a call returns; a union for a batch of mixed calls. */
export type CallResult<C> = C extends Call<infer R> ? R : never;

/**
 * Prepares an `add` for `addMany`. Nothing is sent.
 * @example
 * ```ts
 * await docket.addMany([call(hello, { name: 'ada' }), call(charge, { orderId: 1 }, { key: 'charge-1' })]);
 * ```
 */
export function call<A extends object, R>(task: Task<string, A, R>, ...rest: AddRest<NoInfer<A>>): Call<R>;
export function call(task: AnyTask, args: object = {}, options?: AddOptions): Call<unknown> {
  return Object.freeze(options === undefined ? { task, args } : { task, args, options });
}
