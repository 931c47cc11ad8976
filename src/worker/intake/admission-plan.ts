/**
 * What an execution must pass before it starts: the limits of its task, each with the name it counts under. Owns these
 * names, the same in every worker and version:
 *
 *   task                 the task as a whole           task:argument:value    for each value
 *   @scope               the scope as a whole          @scope:value           for each value, whatever its argument
 *
 * Each part is percent-encoded, so a name has no spaces, no task can pass for a scope, and no value for a part. Values
 * are told apart by type (`s=1`, `n=1`, `i=1`); long ones are hashed.
 */
import { createHash } from 'node:crypto';
import { assertNever } from '../../core/assert.js';
import { LimitArgumentError } from '../../core/errors.js';
import type { AdmissionCheck } from '../../redis/admission-store.js';
import type { LimitData } from '../../tasks/policies.js';
import { argumentNames, type Picked, pickArguments } from '../../wire/pick.js';

/**
 * The gates of one task's executions, prepared once: those of a task that counts no argument are always the same list.
 *
 * They come in the order in which they are passed: what can drop an execution before what can keep it waiting, and the
 * slots last and sorted by name, so that two executions that want several never wait for each other.
 */
export class AdmissionPlan {
  readonly #task: string;
  readonly #steps: readonly Step[];
  readonly #arguments: readonly string[];
  readonly #fixed: readonly AdmissionCheck[] | null;

  constructor(task: string, limits: readonly LimitData[]) {
    this.#task = task;
    this.#steps = limits
      .map((limit) => ({ limit, prefix: prefixOf(task, limit) }))
      .sort((a, b) => ORDER.indexOf(a.limit.kind) - ORDER.indexOf(b.limit.kind));
    this.#arguments = [...new Set(limits.flatMap(({ argument }) => argument ?? []))];
    this.#fixed = this.#arguments.length > 0 ? null : this.#gates(() => null);
  }

  /**
   * Gives the gates of an execution, by its encoded arguments.
   * @throws LimitArgumentError when an argument that is counted is missing or not a scalar
   * @throws UndecodableValueError when the bytes are not arguments
   */
  of(args: Uint8Array): readonly AdmissionCheck[] {
    if (this.#fixed) return this.#fixed;
    const picked = pickArguments(args, this.#arguments);
    return this.#gates((argument) => {
      const value = picked.get(argument);
      if (!value) throw new LimitArgumentError(this.#task, argument, argumentNames(args));
      if (value.type === 'other') throw new LimitArgumentError(this.#task, argument, argumentNames(args), value.value);
      return value;
    });
  }

  #gates(scalarFor: (argument: string) => Scalar | null): readonly AdmissionCheck[] {
    const gates: AdmissionCheck[] = [];
    const slots: SlotGate[] = [];
    for (const { limit, prefix } of this.#steps) {
      const value = limit.argument === null ? null : scalarFor(limit.argument);
      const gate = gateOf(limit, value === null ? prefix : `${prefix}:${tagged(value)}`);
      if (gate.kind === 'permit') slots.push(gate);
      else gates.push(gate);
    }
    return slots.length > 0 ? gates.concat(slots.length > 1 ? merged(slots) : slots) : gates;
  }
}

interface Step {
  readonly limit: LimitData;
  /** The name it counts under, without the value. */
  readonly prefix: string;
}

type SlotGate = Extract<AdmissionCheck, { kind: 'permit' }>;
type Scalar = Exclude<Picked, { type: 'other' }>;

const ORDER: readonly LimitData['kind'][] = ['cooldown', 'debounce', 'rate', 'concurrency'];
/** Bytes of a value as it stands in a name; a longer one is hashed. */
const MAXIMUM_VALUE_BYTES = 64;
/** Stands for the fallback, whose name is empty: the server's lists of names could not hold that. Encodes no task. */
const OF_FALLBACK = '%';
/** Half a surrogate pair cannot be percent-encoded. */
const UNSAFE = /\p{Cs}/u;

function prefixOf(task: string, limit: LimitData): string {
  if (limit.kind === 'concurrency' && limit.scope !== null) return `@${encodeURIComponent(limit.scope)}`;
  const name = encodeURIComponent(task) || OF_FALLBACK;
  return limit.argument === null ? name : `${name}:${encodeURIComponent(limit.argument)}`;
}

function gateOf(limit: LimitData, key: string): AdmissionCheck {
  switch (limit.kind) {
    case 'concurrency':
      return { kind: 'permit', key, max: limit.max };
    case 'rate':
      return { kind: 'rate', key, max: limit.max, perMs: limit.perMs, onExceeded: limit.onExceeded };
    case 'cooldown':
      return { kind: 'cooldown', key, windowMs: limit.windowMs };
    case 'debounce':
      return { kind: 'debounce', key, settleMs: limit.settleMs };
    default:
      return assertNever(limit);
  }
}

/** Sorts by name. Two arguments with the same value share a slot when they share a scope: one is enough for both. */
function merged(slots: readonly SlotGate[]): SlotGate[] {
  const byKey = new Map<string, SlotGate>();
  for (const slot of slots) {
    const same = byKey.get(slot.key);
    if (!same || slot.max < same.max) byKey.set(slot.key, slot);
  }
  return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

function tagged(scalar: Scalar): string {
  switch (scalar.type) {
    case 'string':
      return part('s', scalar.value);
    case 'number':
      return part('n', String(scalar.value)); // -0 counts as 0, as it equals it
    case 'bigint':
      return part('i', scalar.value.toString(16)); // in linear time, however long
    case 'boolean':
      return part('b', String(scalar.value));
    case 'date':
      return part('d', String(scalar.value));
    case 'null':
      return 'null';
    default:
      return assertNever(scalar);
  }
}

function part(tag: string, text: string): string {
  const isShort = text.length <= MAXIMUM_VALUE_BYTES && Buffer.byteLength(text) <= MAXIMUM_VALUE_BYTES;
  if (isShort && !UNSAFE.test(text)) return `${tag}=${encodeURIComponent(text)}`;
  return `h=${createHash('sha256')
    .update(Buffer.from(`${tag}=${text}`, 'utf16le'))
    .digest('base64url')}`;
}
