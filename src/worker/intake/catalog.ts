/** What this worker can run, by name: policies, and what an execution must pass before it may start. */

import type { AdmissionCheck } from '../../redis/admission-store.js';
import type { Manifest, TaskManifest } from '../../tasks/manifest.js';
import type { TaskPolicies } from '../../tasks/policies.js';
import type { Envelope } from '../../wire/envelope.js';
import { AdmissionPlan } from './admission-plan.js';

interface Known {
  readonly policies: TaskPolicies;
  /** `null` for a task without limits. */
  readonly plan: AdmissionPlan | null;
}

export class Catalog {
  readonly tasks: readonly TaskManifest[];
  readonly #known: ReadonlyMap<string, Known>;
  readonly #fallback: Known | null;

  constructor(manifest: Manifest) {
    this.tasks = manifest.tasks;
    this.#known = new Map(manifest.tasks.map(({ name, policies }) => [name, knownAs(name, policies)]));
    this.#fallback = manifest.fallback && knownAs(FALLBACK, manifest.fallback);
  }

  /** The policies of the task that runs under this name: its own, or the fallback's; `null` when there is neither. */
  policiesOf(task: string): TaskPolicies | null {
    return this.#find(task)?.policies ?? null;
  }

  /**
   * What an execution must pass before it may start; `null` when nothing.
   * @throws LimitArgumentError, UndecodableValueError when its arguments cannot be counted by
   */
  gatesOf(envelope: Envelope): readonly AdmissionCheck[] | null {
    return this.#find(envelope.task)?.plan?.of(envelope.args) ?? null;
  }

  #find(task: string): Known | null {
    return this.#known.get(task) ?? this.#fallback;
  }
}

/** Under which the limits of a fallback are counted: not the name of a task, which is not empty. */
const FALLBACK = '';

function knownAs(name: string, policies: TaskPolicies): Known {
  return { policies, plan: policies.limits?.length ? new AdmissionPlan(name, policies.limits) : null };
}
