/** Checks and encodes a call before anything is written. */

import { type Due, dueAfter } from '../core/due.js';
import { InvalidOptionError, PayloadTooLargeError, TaskNotFoundError } from '../core/errors.js';
import { checkKey } from '../core/execution-key.js';
import { createIdGenerator } from '../core/ids.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import { checkPriority, type Priority } from '../core/priority.js';
import type { PlacementKind } from '../redis/producer-store.js';
import type { AddOptions } from '../tasks/call.js';
import { validateArguments } from '../tasks/schema.js';
import { type AnyTask, checkTaskName, definitionOf, isTask, type TaskDefinition } from '../tasks/task.js';
import { encoderFor } from '../wire/codec.js';
import { encodeEnvelope } from '../wire/envelope.js';
import type { ProducerSettings } from './options.js';

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
  readonly priority: Priority;
}

/** What travels with the arguments. */
interface Travelling {
  readonly headers: string | null;
  readonly priority: Priority;
}

export class CallPreparer {
  readonly #settings: ProducerSettings;
  readonly #newId = createIdGenerator();

  constructor(settings: ProducerSettings) {
    this.#settings = settings;
  }

  /**
   * Checks a call and encodes it. Returns a promise only when an asynchronous schema checks the task's `input`.
   * @param headers - the producer's trace context, which travels beside the arguments; `null` for none
   * @throws InvalidOptionError when the task, key, date or arguments cannot be used
   * @throws TaskNotFoundError for a name that is not in the docket's collection
   * @throws InvalidArgumentsError for arguments that do not match the task's `input`
   * @throws UnencodableValueError for arguments that cannot be encoded, with the path of the value
   * @throws PayloadTooLargeError for arguments over `maxPayloadBytes`
   */
  prepare(
    task: AnyTask | string,
    args: unknown = {},
    options: AddOptions = {},
    headers: string | null = null,
  ): PreparedCall | Promise<PreparedCall> {
    const name = nameOf(this.#settings, task);
    checkOptionNames(options, ADD_OPTIONS, '');
    if (!isRecord(args)) {
      throw new InvalidOptionError('args', `task '${name}' takes one object with named fields, got ${kindOf(args)}`);
    }
    const known = isTask(task) ? task : this.#settings.tasks?.get(name);
    const { input, policies } = known ? definitionOf(known) : UNKNOWN;
    if (options.key !== undefined && policies.limits?.some(({ kind }) => kind === 'debounce')) {
      const problem = `task '${name}' has a debounce, for which each submission needs a key of its own: leave it out`;
      throw new InvalidOptionError('key', problem);
    }
    const priority = options.priority === undefined ? (policies.priority ?? 'normal') : checkPriority(options.priority);
    const encoded = () => this.#encode(name, args, options, { headers, priority });
    // The body gets the schema's output. The caller's input is what is stored.
    const checked = input && validateArguments(name, input, args);
    return checked instanceof Promise ? checked.then(encoded) : encoded();
  }

  #encode(name: string, args: object, options: AddOptions, { headers, priority }: Travelling): PreparedCall {
    const { executionTtlMs, maxPayloadBytes } = this.#settings;
    const due = dueOf(options.when);
    const isKeyed = options.key !== undefined;
    if (isKeyed) checkKey(options.key);
    if (options.once !== undefined) checkOnce(options, executionTtlMs);
    const key = isKeyed ? (options.key as string) : this.#newId();
    const kind = options.once ? 'once' : kindOfPlacement(isKeyed, executionTtlMs > 0, due !== null);
    const id = kind === 'entry' || kind === 'lean' ? key : null;
    const message = encodeEnvelope(encoderFor(args, 'args'), name, executionTtlMs, id, args, headers);
    if (message.length > maxPayloadBytes) throw new PayloadTooLargeError(name, message.length, maxPayloadBytes);
    return { key, task: name, args, due, message, kind, priority };
  }
}

const ADD_OPTIONS = optionNames<AddOptions>({ key: true, when: true, once: true, priority: true });

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
