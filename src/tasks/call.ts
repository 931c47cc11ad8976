/**
 * Calls of tasks: the types of `add`, shared by the client and the context of a task, and calls prepared for `addMany`.
 */
import type { Duration } from '../core/duration.js';
import type { Priority } from '../core/priority.js';
import type { AnyTask, Task } from './declared-task.js';
import type { PolicyOverrides } from './overrides.js';

/** Options of an `add`. */
export interface AddOptions extends PolicyOverrides {
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
  /**
   * Whether the key stays taken after its execution has ended, until `executionTtl` has passed. Then the add writes
   * nothing, and the handle is that of the execution that ended. So an add that was not confirmed can be repeated, and
   * does not run twice. Needs a `key` that no earlier work had, and an `executionTtl`.
   * @default false: a key is free as soon as its execution has ended
   */
  once?: boolean;
  /**
   * Whether the execution starts before others (`'high'`) or after them (`'low'`) when there is more work than free threads.
   * It keeps its priority through retries, redeliveries and the runs of its chain.
   * @default the `priority` of the task; `'normal'` when it has none, or when only its name is known here
   */
  priority?: Priority;
}

/** Options of a `replace`. */
export interface ReplaceOptions extends Omit<AddOptions, 'once'> {
  /** The key to take from whatever holds it. */
  readonly key: string;
}

/** The parameters after the task in `add`. The arguments may be left out when none of them is required. */
export type AddRest<A> = {} extends A ? [args?: A, options?: AddOptions] : [args: A, options?: AddOptions];

/** The tasks that a docket may be typed with, by their names. */
export type TasksByName = Record<string, AnyTask>;

/** A name that `add` takes: one of the docket's tasks, or any name when the docket is not typed with its tasks. */
export type NameOf<Tasks extends TasksByName> = [keyof Tasks] extends [never] ? string : keyof Tasks & string;

/** The arguments of the task of this name; any object when the docket is not typed with its tasks. */
export type ArgumentsOfName<Tasks extends TasksByName, Name extends string> = Name extends keyof Tasks
  ? ArgumentsOf<Tasks[Name]>
  : object;

/** The type that the task of this name returns. */
export type ResultOfName<Tasks extends TasksByName, Name extends string> = Name extends keyof Tasks
  ? ResultOf<Tasks[Name]>
  : unknown;

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

/** A prepared `add` of a task that the producer has by name only. */
export interface CallByName {
  readonly task: string;
  readonly args: object;
  readonly options?: AddOptions;
}

/** The type that the task of a call returns; a union for a batch of different tasks. */
export type CallResult<C> = C extends Call<infer R> ? R : unknown;

/**
 * Prepares an `add` for `addMany`. Nothing is checked or sent yet.
 * @example
 * ```ts
 * await docket.addMany([call(hello, { name: 'ada' }), call(charge, { orderId: 1 }, { key: 'charge-1' })]);
 * ```
 */
export function call<A extends object, R>(task: Task<string, A, R>, ...rest: AddRest<NoInfer<A>>): Call<R>;
export function call(name: string, args?: object, options?: AddOptions): CallByName;
export function call(task: AnyTask | string, args: object = {}, options?: AddOptions): Call<unknown> | CallByName {
  return Object.freeze(options === undefined ? { task, args } : { task, args, options }) as Call<unknown> | CallByName;
}
