/** A list of work to be spread over a time. */
import { type Duration, toMs } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import type { AddOptions, ArgumentsOf, Call } from './call.js';
import type { TaskDocket } from './context.js';
import type { AnyTask, Task } from './declared-task.js';
import type { Execution } from './execution.js';

/** Options of a single addition: its time is what `scatter` decides. */
export type AgendaAddOptions = Omit<AddOptions, 'when'>;

/** What follows the task in `Agenda.add`. */
export type AgendaAddRest<A> = {} extends A
  ? [args?: A, options?: AgendaAddOptions]
  : [args: A, options?: AgendaAddOptions];

export interface ScatterOptions {
  /** Time over which the work is spread, more than 0. */
  readonly over: Duration;
  /**
   * When it begins: a point in time, or a duration from now.
   * @default now
   */
  readonly start?: Date | Duration;
  /**
   * How far, at most, each time is moved at random, either way. None is moved before the start.
   * @default 0
   */
  readonly jitter?: Duration;
}

/**
 * Collects work, to be spread evenly over a time: so that a thousand reports do not hit the database at nine.
 *
 * @example
 * ```ts
 * const agenda = new Agenda();
 * for (const customerId of customers) agenda.add(report, { customerId });
 * await agenda.scatter(docket, { over: '1h', jitter: '10s' });
 * ```
 */
export class Agenda<Tasks extends Record<string, AnyTask> = {}> {
  readonly #entries: { readonly task: AnyTask; readonly args: object; readonly options: AgendaAddOptions }[] = [];

  /** How many executions it has. */
  get length(): number {
    return this.#entries.length;
  }

  /** Adds an execution at the end. Nothing is checked or sent before `scatter`. */
  add<A extends object, R>(task: Task<string, A, R>, ...rest: AgendaAddRest<NoInfer<A>>): this;
  add<K extends keyof Tasks & string>(name: K, ...rest: AgendaAddRest<ArgumentsOf<Tasks[K]>>): this;
  add(task: AnyTask | string, ...rest: unknown[]): this {
    const [args = {}, options = {}] = rest as [args?: object, options?: AgendaAddOptions];
    this.#entries.push({ task: task as AnyTask, args, options }); // a docket takes names where it takes tasks
    return this;
  }

  /**
   * Schedules everything, in order, from `start` to `start + over`, both included; a single execution in the middle. The
   * agenda stays as it is: each `scatter` schedules it anew.
   * @returns the executions, in order
   * @throws RangeError when `over` is not more than 0
   * @throws what `Docket.addMany` throws; an unknown name or wrong arguments before anything is scheduled
   */
  async scatter(docket: Pick<TaskDocket, 'addMany'>, options: ScatterOptions): Promise<Execution<unknown>[]> {
    const whenOf = timesOf(this.#entries.length, options);
    const calls = this.#entries.map(
      ({ task, args, options: own }, i): Call<unknown> => ({ task, args, options: { ...own, when: whenOf(i) } }),
    );
    return calls.length === 0 ? [] : await docket.addMany(calls);
  }
}

/** Answers with the times of `count` executions, by their index. */
function timesOf(count: number, { over, start = 0, jitter = 0 }: ScatterOptions): (index: number) => Date | number {
  if (typeof over === 'number' && over <= 0) throw new RangeError(`over: expected more than 0, got ${over}`);
  const overMs = toMs(over, 'over');
  if (overMs <= 0) throw new RangeError(`over: expected more than 0, got ${over}`);
  const jitterMs = toMs(jitter, 'jitter');
  // Sorted, so that the order is kept where the jitter is wider than the gaps; none is farther from its place by that.
  const offsets = Array.from({ length: count }, (_, i) => {
    const even = count === 1 ? overMs / 2 : (overMs * i) / (count - 1);
    return Math.max(0, Math.round(even + jitterMs * (2 * Math.random() - 1)));
  }).sort((a, b) => a - b);
  if (!(start instanceof Date)) {
    // Counted from now by the server's clock.
    const startMs = toMs(start, 'start');
    return (index) => startMs + offsets[index]!;
  }
  const startMs = start.getTime();
  if (Number.isNaN(startMs)) throw new InvalidOptionError('start', 'the date is invalid');
  return (index) => new Date(startMs + offsets[index]!);
}
