/** Checks and encodes a call before anything is written. */

import { type Due, dueAfter } from '../core/due.js';
import { InvalidOptionError, PayloadTooLargeError, TaskNotFoundError } from '../core/errors.js';
import { checkKey } from '../core/execution-key.js';
import { createIdGenerator } from '../core/ids.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import { checkPriority, type Priority } from '../core/priority.js';
import type { PlacementKind } from '../redis/producer-store.js';
import type { AddOptions } from '../tasks/call.js';
import { chainText } from '../tasks/chain.js';
import { nextCronMs } from '../tasks/cron.js';
import { hasOverrides, OVERRIDE_NAMES, type ResolvedOverrides, resolveOverrides } from '../tasks/overrides.js';
import type { LimitData, TaskPolicies } from '../tasks/policies.js';
import { validateArguments } from '../tasks/schema.js';
import { type AnyTask, checkTaskName, definitionOf, isTask, type TaskDefinition } from '../tasks/task.js';
import { encoderFor } from '../wire/codec.js';
import { encodeEnvelope } from '../wire/envelope.js';
import type { ProducerSettings } from './options.js';
import type { ServerTime } from './server-time.js';

/** A call that is checked and encoded: from here on only Redis can fail it. */
export interface PreparedCall {
  readonly key: string;
  readonly task: string;
  readonly args: object;
  /** `null` is now. */
  readonly due: Due | null;
  readonly message: Buffer;
  /** How it is placed. `entry` is one stream entry and nothing else: no key, no record, due now. */
  readonly kind: PlacementKind | 'entry';
  /** What its record says about its chain; `null` when it is not a run of one, or has no record. */
  readonly chain: string | null;
  readonly priority: Priority;
  /** The limits of its task, if they are known here. */
  readonly limits: readonly LimitData[] | undefined;
}

export class CallPreparer {
  readonly #settings: ProducerSettings;
  readonly #newId = createIdGenerator();
  readonly #serverTime: Pick<ServerTime, 'nowMs'>;

  constructor(settings: ProducerSettings, serverTime: Pick<ServerTime, 'nowMs'>) {
    this.#settings = settings;
    this.#serverTime = serverTime;
  }

  /**
   * Checks a call and encodes it. Returns a promise only when an asynchronous schema checks the task's `input`, or when a
   * schedule begins at the first match of its cron expression or has an end, by the server's clock.
   * @param headers - the producer's trace context, which travels beside the arguments; `null` for none
   * @throws InvalidOptionError when the task, key, date or arguments cannot be used
   * @throws TaskNotFoundError for a name that is not in the docket's collection
   * @throws InvalidArgumentsError for arguments that do not match the task's `input`
   * @throws UnencodableValueError for arguments that cannot be encoded, with the path of the value
   * @throws PayloadTooLargeError for arguments over `maxPayloadBytes`
   * @throws RedisUnavailableError when the server's clock cannot be read
   */
  prepare(
    task: AnyTask | string,
    args: unknown = {},
    options: AddOptions = {},
    headers: string | null = null,
  ): PreparedCall | Promise<PreparedCall> {
    const name = nameOf(this.#settings, task);
    checkOptionNames(options, ADD_OPTIONS, '');
    checkArguments(name, args);
    const known = isTask(task) ? task : this.#settings.tasks?.get(name);
    const { input, policies } = known ? definitionOf(known) : UNKNOWN;
    if (options.key !== undefined && policies.limits?.some(({ kind }) => kind === 'debounce')) {
      const problem = `task '${name}' has a debounce, for which each submission needs a key of its own: leave it out`;
      throw new InvalidOptionError('key', problem);
    }
    const overrides = hasOverrides(options) ? resolveOverrides(options, known ? policies : null) : null;
    const priority = options.priority === undefined ? (policies.priority ?? 'normal') : checkPriority(options.priority);
    const encoded = () => this.#placed({ name, args, options, headers, policies, overrides, priority });
    // The body gets the schema's output. The caller's input is what is stored.
    const checked = input && validateArguments(name, input, args);
    return checked instanceof Promise ? checked.then(encoded) : encoded();
  }

  #placed(call: CheckedCall): PreparedCall | Promise<PreparedCall> {
    const { options, overrides } = call;
    const due = dueOf(options.when);
    if (overrides === null) return this.#encode(call, due);
    const { perpetual, untilMs } = overrides.policies;
    // A task with an expression of its own runs when it is added for, and then by the expression.
    const beginsAtMatch = options.perpetual !== undefined && options.when === undefined && perpetual?.kind === 'cron';
    if (!beginsAtMatch && untilMs === undefined) return this.#encode(call, due);
    return this.#serverTime.nowMs().then((nowMs) => {
      const first = beginsAtMatch ? { atMs: nextCronMs(perpetual.expression, perpetual.timezone, nowMs) } : due;
      checkUntil(overrides, first, nowMs);
      return this.#encode(call, first);
    });
  }

  #encode({ name, args, options, headers, policies, overrides, priority }: CheckedCall, due: Due | null): PreparedCall {
    const { executionTtlMs, maxPayloadBytes } = this.#settings;
    const isKeyed = options.key !== undefined;
    if (isKeyed) checkKey(options.key);
    if (options.once !== undefined) checkOnce(options, executionTtlMs);
    const key = isKeyed ? (options.key as string) : this.#newId();
    // A schedule has a record in any case, by which it is listed.
    const keepsRecord = executionTtlMs > 0 || options.perpetual !== undefined;
    const kind = options.once ? 'once' : kindOfPlacement(isKeyed, keepsRecord, due !== null);
    const hasRecord = kind !== 'entry' && kind !== 'lean';
    const id = hasRecord ? null : key;
    const encoder = encoderFor(args, 'args');
    const message = encodeEnvelope(encoder, name, executionTtlMs, id, args, headers, overrides?.text);
    if (message.length > maxPayloadBytes) throw new PayloadTooLargeError(name, message.length, maxPayloadBytes);
    const chain = hasRecord ? chainText(overrides?.policies ?? policies) : null;
    return { key, task: name, args, due, message, kind, chain, priority, limits: policies.limits };
  }
}

/** A call whose options and arguments were checked. */
interface CheckedCall {
  readonly name: string;
  readonly args: object;
  readonly options: AddOptions;
  readonly headers: string | null;
  /** The policies of the task, as far as they are known here. */
  readonly policies: TaskPolicies;
  readonly overrides: ResolvedOverrides | null;
  readonly priority: Priority;
}

/** @throws InvalidOptionError when the chain would end before its first run */
function checkUntil({ policies: { untilMs } }: ResolvedOverrides, due: Due | null, nowMs: number): void {
  if (untilMs === undefined) return;
  const dueMs = due === null ? nowMs : 'atMs' in due ? due.atMs : nowMs + due.delayMs;
  if (untilMs >= dueMs) return;
  const problem = `expected a time after the first run, which is due at ${new Date(dueMs).toISOString()}`;
  throw new InvalidOptionError('until', `${problem}, got ${new Date(untilMs).toISOString()}`);
}

const ADD_OPTIONS = optionNames<AddOptions>({ key: true, when: true, once: true, priority: true, ...OVERRIDE_NAMES });

/** Stands for the definition of a task that the producer has by name only. */
const UNKNOWN: Pick<TaskDefinition, 'input' | 'policies'> = { policies: {} };

function kindOfPlacement(isKeyed: boolean, keepsState: boolean, isLater: boolean): PreparedCall['kind'] {
  if (isKeyed) return 'keyed';
  if (keepsState) return 'unique';
  return isLater ? 'lean' : 'entry';
}

/** @throws InvalidOptionError when nothing would remember that the execution has ended */
function checkOnce({ key, once }: AddOptions, executionTtlMs: number): void {
  if (typeof once !== 'boolean') throw new InvalidOptionError('once', `expected true or false, got ${kindOf(once)}`);
  if (!once) return;
  if (key === undefined) throw new InvalidOptionError('once', 'needs a key: without one, each add is a new execution');
  if (executionTtlMs > 0) return;
  throw new InvalidOptionError('once', 'needs an executionTtl: with 0 nothing is kept of an execution that has ended');
}

function nameOf({ tasks }: ProducerSettings, task: AnyTask | string): string {
  if (isTask(task)) return task.name;
  if (typeof task !== 'string' || task === '') {
    throw new InvalidOptionError('task', `expected a task made with task(), or its name, got ${kindOf(task)}`);
  }
  checkTaskName(task);
  if (tasks && !tasks.has(task)) throw new TaskNotFoundError(task, [...tasks.keys()]);
  return task;
}

function dueOf(when: AddOptions['when']): Due | null {
  if (when === undefined) return null;
  if (when instanceof Date) {
    const atMs = when.getTime();
    if (Number.isNaN(atMs)) throw new InvalidOptionError('when', 'the date is invalid');
    return { atMs };
  }
  const due = dueAfter(when, 'when');
  return due.delayMs > 0 ? due : null;
}

/** @throws InvalidOptionError unless the arguments of a call are one object with named fields */
export function checkArguments(task: string, args: unknown): asserts args is object {
  if (isRecord(args)) return;
  throw new InvalidOptionError('args', `task '${task}' takes one object with named fields, got ${kindOf(args)}`);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  return Array.isArray(value) ? 'an array' : tagOf(value);
}

/** Takes the common case first: asking for the tag of an object costs more than all other checks. */
function isRecord(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  return Object.getPrototypeOf(value) === Object.prototype || tagOf(value) === 'Object';
}

/** Returns `Object` for records and for instances of user classes, which the encoder refuses; else `Map`, `Date` and so on. */
function tagOf(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}
