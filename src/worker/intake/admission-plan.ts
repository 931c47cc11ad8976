/** What an execution must pass before it starts: the limits of its task, each with the name under which it counts. */
import { assertNever } from '../../core/assert.js';
import { LimitArgumentError } from '../../core/errors.js';
import type { AdmissionCheck } from '../../redis/admission-store.js';
import { nameOfValue, prefixOfLimit, type Scalar } from '../../tasks/limit-names.js';
import type { LimitData } from '../../tasks/policies.js';
import { argumentNames, pickArguments } from '../../wire/pick.js';

/**
 * The admission checks of one task, prepared once. A task that counts by no argument has the same list for all its
 * executions.
 *
 * The checks come in the order in which they are passed: those that can drop an execution before those that can keep it
 * waiting, and the permits last and sorted by name, so that two executions that want several never wait for each other.
 */
export class AdmissionPlan {
  readonly #task: string;
  readonly #steps: readonly Step[];
  readonly #arguments: readonly string[];
  readonly #fixed: readonly AdmissionCheck[] | null;

  constructor(task: string, limits: readonly LimitData[]) {
    this.#task = task;
    this.#steps = limits
      .map((limit) => ({ limit, prefix: prefixOfLimit(task, limit) }))
      .sort((a, b) => ORDER.indexOf(a.limit.kind) - ORDER.indexOf(b.limit.kind));
    this.#arguments = [...new Set(limits.flatMap(({ argument }) => argument ?? []))];
    this.#fixed = this.#arguments.length > 0 ? null : this.#checks(() => null);
  }

  /**
   * Returns the checks of an execution, by its encoded arguments.
   * @throws LimitArgumentError when an argument that is counted by is missing or not a scalar
   * @throws UndecodableValueError when the bytes are not arguments
   */
  of(args: Uint8Array): readonly AdmissionCheck[] {
    if (this.#fixed) return this.#fixed;
    const picked = pickArguments(args, this.#arguments);
    return this.#checks((argument) => {
      const value = picked.get(argument);
      if (!value) throw new LimitArgumentError(this.#task, argument, argumentNames(args));
      if (value.type === 'other') throw new LimitArgumentError(this.#task, argument, argumentNames(args), value.value);
      return value;
    });
  }

  #checks(scalarFor: (argument: string) => Scalar | null): readonly AdmissionCheck[] {
    const checks: AdmissionCheck[] = [];
    const permits: PermitCheck[] = [];
    for (const { limit, prefix } of this.#steps) {
      const value = limit.argument === null ? null : scalarFor(limit.argument);
      const check = checkOf(limit, value === null ? prefix : `${prefix}:${nameOfValue(value)}`);
      if (check.kind === 'permit') permits.push(check);
      else checks.push(check);
    }
    return permits.length > 0 ? checks.concat(permits.length > 1 ? merged(permits) : permits) : checks;
  }
}

interface Step {
  readonly limit: LimitData;
  /** The name under which it counts, without the value. */
  readonly prefix: string;
}

type PermitCheck = Extract<AdmissionCheck, { kind: 'permit' }>;

const ORDER: readonly LimitData['kind'][] = ['cooldown', 'debounce', 'rate', 'concurrency'];

function checkOf(limit: LimitData, key: string): AdmissionCheck {
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

/** Sorts by name. Two arguments with the same value in one scope count as one: a single permit is enough for both. */
function merged(permits: readonly PermitCheck[]): PermitCheck[] {
  const byKey = new Map<string, PermitCheck>();
  for (const permit of permits) {
    const same = byKey.get(permit.key);
    if (!same || permit.max < same.max) byKey.set(permit.key, permit);
  }
  return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}
