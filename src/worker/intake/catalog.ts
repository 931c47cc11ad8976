/** The tasks that this worker can run, by name: their policies, and the limits that their executions must pass. */
import type { AdmissionCheck } from '../../redis/admission-store.js';
import type { Manifest, TaskManifest } from '../../tasks/manifest.js';
import type { TaskPolicies } from '../../tasks/policies.js';
import type { Envelope } from '../../wire/envelope.js';
import { AdmissionPlan } from './admission-plan.js';

export class Catalog {
  readonly tasks: readonly TaskManifest[];
  readonly #listings: ReadonlyMap<string, Listing>;
  readonly #fallback: Listing | null;

  constructor(manifest: Manifest) {
    this.tasks = manifest.tasks;
    this.#listings = new Map(manifest.tasks.map(({ name, policies }) => [name, listingOf(name, policies)]));
    this.#fallback = manifest.fallback && listingOf(FALLBACK, manifest.fallback);
  }

  /** Whether there is a fallback for the tasks it does not have. */
  get hasFallback(): boolean {
    return this.#fallback !== null;
  }

  /**
   * Returns the policies of the task that runs under this name: its own, or the fallback's; `null` when there is neither.
   * Bound, so that it can be passed on as a function without a closure per delivery.
   */
  readonly policiesOf = (task: string): TaskPolicies | null => this.#find(task)?.policies ?? null;

  /** Returns the name under which the limits of an execution count: that of its task, or of the fallback. */
  limitsNameOf(task: string): string {
    return this.#listings.has(task) ? task : FALLBACK;
  }

  /**
   * Returns the checks that an execution must pass before it may start; `null` when there are none.
   * @throws LimitArgumentError, UndecodableValueError when its arguments cannot be counted by
   */
  checksOf(envelope: Envelope): readonly AdmissionCheck[] | null {
    return this.#find(envelope.task)?.plan?.of(envelope.args) ?? null;
  }

  #find(task: string): Listing | null {
    return this.#listings.get(task) ?? this.#fallback;
  }
}

interface Listing {
  readonly policies: TaskPolicies;
  /** `null` for a task without limits. */
  readonly plan: AdmissionPlan | null;
}

/** The name under which the limits of a fallback are counted. No task has it, because names of tasks are not empty. */
const FALLBACK = '';

function listingOf(name: string, policies: TaskPolicies): Listing {
  return { policies, plan: policies.limits?.length ? new AdmissionPlan(name, policies.limits) : null };
}
