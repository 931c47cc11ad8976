/** Agendas: lists of executions that are spread evenly over a period of time. */
import { type InspectOptions, inspect } from 'node:util';
import { dueAfter, dueAt } from '../core/due.js';
import { type Duration, toMs } from '../core/duration.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import type { AddOptions, ArgumentsOfName, Call, CallByName, NameOf, TasksByName } from './call.js';
import type { TaskDocket } from './context.js';
import type { AnyTask, Task } from './declared-task.js';
import type { Execution } from './execution.js';
import { OVERRIDE_NAMES } from './overrides.js';
import { inspectSummary } from './summary.js';

/** Options of one addition to an agenda. There is no `when`, because `scatter` decides the time. */
export type AgendaAddOptions = Omit<AddOptions, 'when'>;

/** The parameters after the task in `Agenda.add`. */
export type AgendaAddRest<A> = {} extends A
  ? [args?: A, options?: AgendaAddOptions]
  : [args: A, options?: AgendaAddOptions];

/** Options of `Agenda.scatter`. */
export interface ScatterOptions {
  /** Length of the period over which the executions are spread, more than 0. */
  readonly over: Duration;
  /**
   * When the period starts: at a point in time, or after a duration from now.
   * @default now
   */
  readonly start?: Date | Duration;
  /**
   * Maximum time by which each execution is moved at random, either way. None is moved before the start.
   * @default 0
   */
  readonly jitter?: Duration;
}

/**
 * Collects executions and spreads them evenly over a period, so that a thousand reports do not hit the database at
 * nine.
 *
 * @example
 * ```ts
 * const agenda = new Agenda();
 * for (const customerId of customers) agenda.add(report, { customerId });
 * await agenda.scatter(docket, { over: '1h', jitter: '10s' });
 * ```
 */
export class Agenda<Tasks extends TasksByName = {}> {
  readonly #additions: {
    readonly task: AnyTask | string;
    readonly args: object;
    readonly options: AgendaAddOptions;
  }[] = [];

  /** Number of executions that were added. */
  get length(): number {
    return this.#additions.length;
  }

  /**
   * Adds an execution at the end. Nothing but the names of the options is checked, and nothing is sent, until `scatter`.
   * @throws InvalidOptionError for an option that does not exist
   */
  add<A extends object, R>(task: Task<string, A, R>, ...rest: AgendaAddRest<NoInfer<A>>): this;
  add<Name extends NameOf<Tasks>>(name: Name, ...rest: AgendaAddRest<ArgumentsOfName<Tasks, Name>>): this;
  add(task: AnyTask | string, ...rest: unknown[]): this {
    const [args = {}, options = {}] = rest as [args?: object, options?: AgendaAddOptions];
    checkOptionNames(options, AGENDA_ADD_OPTIONS, 'agenda.');
    this.#additions.push({ task, args, options });
    return this;
  }

  /** Iterates over the calls that were added, in order. */
  *[Symbol.iterator](): IterableIterator<Call<unknown> | CallByName> {
    for (const { task, args, options } of this.#additions) yield callOf(task, args, options);
  }

  /** Removes all calls. Executions that were scheduled stay scheduled. */
  clear(): this {
    this.#additions.length = 0;
    return this;
  }

  /** Returns what `JSON.stringify` shows of the agenda: the calls in order, without arguments. */
  toJSON(): { readonly task: string; readonly key?: string }[] {
    return this.#additions.map(({ task, options }) => ({
      task: typeof task === 'string' ? task : task.name,
      ...(options.key !== undefined && { key: options.key }),
    }));
  }

  [inspect.custom](depth: number, options: InspectOptions): string {
    return inspectSummary('Agenda', this.toJSON(), depth, options);
  }

  /**
   * Schedules all executions in order, from `start` to `start + over`, both included. A single execution is scheduled
   * in the middle. The agenda stays as it is, so that each call schedules it again.
   * @returns the executions, in order
   * @throws RangeError when `over` is not more than 0
   * @throws InvalidOptionError when a duration or date is not valid
   * @throws all errors of `Docket.addMany`; an unknown name or invalid arguments before anything is scheduled
   */
  async scatter(docket: Pick<TaskDocket, 'addMany'>, scatter: ScatterOptions): Promise<Execution<unknown>[]> {
    checkOptionNames(scatter, SCATTER_OPTIONS, 'scatter.');
    const whenOf = timesOf(this.#additions.length, scatter);
    const calls = this.#additions.map(({ task, args, options }, i) =>
      callOf(task, args, { ...options, when: whenOf(i) }),
    );
    return calls.length === 0 ? [] : await docket.addMany(calls);
  }
}

function callOf(task: AnyTask | string, args: object, options: AddOptions): Call<unknown> | CallByName {
  return { task, args, options } as Call<unknown> | CallByName;
}

const AGENDA_ADD_OPTIONS = optionNames<AgendaAddOptions>({ key: true, once: true, priority: true, ...OVERRIDE_NAMES });
const SCATTER_OPTIONS = optionNames<ScatterOptions>({ over: true, start: true, jitter: true });

/** Chooses the times of `count` executions. Returns a function from the index of an execution to its time. */
function timesOf(count: number, { over, start = 0, jitter = 0 }: ScatterOptions): (index: number) => Date | number {
  if (typeof over === 'number' && over <= 0) throw new RangeError(`over: expected more than 0, got ${over}`);
  const overMs = toMs(over, 'over');
  if (overMs <= 0) throw new RangeError(`over: expected more than 0, got ${over}`);
  const jitterMs = toMs(jitter, 'jitter');
  // Sorted, so that the order stays even when the jitter is wider than the gaps. This moves none beyond its jitter.
  const offsets = Array.from({ length: count }, (_, i) => {
    const even = count === 1 ? overMs / 2 : (overMs * i) / (count - 1);
    return Math.max(0, Math.round(even + jitterMs * (2 * Math.random() - 1)));
  }).sort((a, b) => a - b);
  if (start instanceof Date) {
    const { atMs } = dueAt(start, 'start');
    return (index) => new Date(atMs + offsets[index]!);
  }
  const { delayMs } = dueAfter(start, 'start'); // from now, on the server's clock
  return (index) => delayMs + offsets[index]!;
}
