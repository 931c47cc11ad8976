/** Checks and encodes one `add`, before anything is written. */

import type { Due } from '../core/due.js';
import { toMs } from '../core/duration.js';
import { InvalidOptionError, PayloadTooLargeError, TaskNotFoundError } from '../core/errors.js';
import type { PlacementKind } from '../redis/producer-store.js';
import type { AddOptions } from '../tasks/call.js';
import { validateArguments } from '../tasks/schema.js';
import { type AnyTask, checkTaskName, definitionOf, isTask, type TaskDefinition } from '../tasks/task.js';
import { encoderFor } from '../wire/codec.js';
import { encodeEnvelope } from '../wire/envelope.js';
import type { DocketSettings } from './options.js';

/** An `add` that can no longer fail for a reason of its own. */
export interface Prepared {
  readonly key: string;
  readonly task: string;
  readonly args: object;
  readonly due: Due | null;
  readonly message: Buffer;
  /** How it is placed; `entry` needs no record: one stream entry is all there is. */
  readonly kind: PlacementKind | 'entry';
}

const MAXIMUM_KEY_BYTES = 512;

/**
 * Checks a call and encodes it, with `headers` beside the arguments. Answers with a promise only when the task's `input` is checked by an asynchronous schema.
 * @throws InvalidOptionError for a task, key, date or arguments that are not one
 * @throws TaskNotFoundError for a name that is not in the docket's collection
 * @throws InvalidArgumentsError for arguments that do not match the task's `input`
 * @throws UnencodableValueError for arguments that cannot travel, with the path of the offender
 * @throws PayloadTooLargeError for arguments over the limit
 */
export function prepare(
  settings: DocketSettings,
  newId: () => string,
  task: AnyTask | string,
  args: unknown = {},
  options: AddOptions = {},
  headers: string | null = null,
): Prepared | Promise<Prepared> {
  const name = nameOf(settings, task);
  if (!isRecord(args)) {
    throw new InvalidOptionError('args', `task '${name}' takes one object with named fields, got ${kindOf(args)}`);
  }
  const known = isTask(task) ? task : settings.tasks?.get(name);
  const { input, policies } = known ? definitionOf(known) : UNKNOWN;
  if (options.key !== undefined && policies.limits?.some(({ kind }) => kind === 'debounce')) {
    const problem = `task '${name}' has a debounce, for which each submission needs a key of its own: leave it out`;
    throw new InvalidOptionError('key', problem);
  }
  const encoded = () => encode(settings, newId, name, args, options, headers);
  // What the schema makes of them is for the body: stored is what the caller gave.
  const checked = input && validateArguments(name, input, args);
  return checked instanceof Promise ? checked.then(encoded) : encoded();
}

/** What is known of a task that a producer has by name only. */
const UNKNOWN: Pick<TaskDefinition, 'input' | 'policies'> = { policies: {} };

function encode(
  settings: DocketSettings,
  newId: () => string,
  name: string,
  args: object,
  options: AddOptions,
  headers: string | null,
): Prepared {
  const due = dueOf(options.when);
  const isKeyed = options.key !== undefined;
  if (isKeyed) checkKey(options.key);
  const key = isKeyed ? (options.key as string) : newId();
  const kind = kindOfPlacement(isKeyed, settings.executionTtlMs > 0, due !== null);
  const id = kind === 'entry' || kind === 'lean' ? key : null;
  const message = encodeEnvelope(encoderFor(args, 'args'), name, settings.executionTtlMs, id, args, headers);
  if (message.length > settings.maxPayloadBytes) {
    throw new PayloadTooLargeError(name, message.length, settings.maxPayloadBytes);
  }
  return { key, task: name, args, due, message, kind };
}

function kindOfPlacement(isKeyed: boolean, keepsState: boolean, isLater: boolean): Prepared['kind'] {
  if (isKeyed) return 'keyed';
  if (keepsState) return 'unique';
  return isLater ? 'lean' : 'entry';
}

function nameOf(settings: DocketSettings, task: AnyTask | string): string {
  if (isTask(task)) return task.name;
  if (typeof task !== 'string' || task === '') {
    throw new InvalidOptionError('task', `expected a task made with task(), or its name, got ${kindOf(task)}`);
  }
  checkTaskName(task);
  if (settings.tasks && !settings.tasks.has(task)) throw new TaskNotFoundError(task, [...settings.tasks.keys()]);
  return task;
}

function dueOf(when: AddOptions['when']): Due | null {
  if (when === undefined) return null;
  if (when instanceof Date) {
    const atMs = when.getTime();
    if (Number.isNaN(atMs)) throw new InvalidOptionError('when', 'the date is invalid');
    return { atMs };
  }
  const delayMs = toMs(when, 'when');
  return delayMs > 0 ? { delayMs } : null;
}

/** @throws InvalidOptionError when it is empty, longer than 512 bytes or not well-formed text */
export function checkKey(key: unknown): asserts key is string {
  if (typeof key !== 'string' || key === '') throw new InvalidOptionError('key', 'expected text that is not empty');
  if (Buffer.byteLength(key) > MAXIMUM_KEY_BYTES) {
    throw new InvalidOptionError('key', `expected at most ${MAXIMUM_KEY_BYTES} bytes, got ${Buffer.byteLength(key)}`);
  }
  if (/\p{Cs}/u.test(key))
    throw new InvalidOptionError('key', 'the text has a lone surrogate, which UTF-8 cannot hold');
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  return Array.isArray(value) ? 'an array' : tagOf(value);
}

/** The common case first: asking for the tag of an object costs more than the rest of the checks. */
function isRecord(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  return Object.getPrototypeOf(value) === Object.prototype || tagOf(value) === 'Object';
}

/** `Object` for records and instances of the user's classes, which the encoder refuses; `Map`, `Date` and so on for the rest. */
function tagOf(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}
