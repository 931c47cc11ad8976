/**
 * Decides where executions belong, by the layout that this worker knows.
 *
 * Owns the rule that two kinds of executions are moved: those with limits, because a limit counts in one partition
 * only, and the runs of chains, because their chain would stay in the wrong partition for ever. Any other execution
 * runs where it is.
 */
import { partitionOf, routeOf } from '../client/routing.js';
import { timeOfId } from '../core/ids.js';
import type { LimitData, TaskPolicies } from '../tasks/policies.js';
import type { ArrivalVersions, Destination } from './arrival-versions.js';
import type { Delivery } from './delivery.js';

/** The layout, as the pipelines of a worker ask about it. */
export interface Places {
  /** The tag of each partition, by its number. */
  readonly tags: readonly string[];
  /**
   * Returns the partition with this tag; `null` when it cannot be reached at present.
   * @throws RedisUnavailableError when this worker does not read it, and its server cannot be reached
   */
  find(tag: string): Promise<Destination | null>;
  /** By which version of the strikes executions may arrive in each partition. */
  readonly arrivals: Pick<ArrivalVersions, 'of' | 'forget'>;
  /** Returns the keys that have an unfinished execution in a partition other than the one with this tag. */
  keysElsewhere(keys: readonly string[], tag: string): Promise<ReadonlySet<string>>;
}

/** An empty object, encoded. */
const NO_ARGUMENTS = Uint8Array.of(0x80);

/** Returns the tag of the partition where a delivery belongs; `null` when it may be anywhere. */
export function placeOf(delivery: Delivery, limitsName: string, tags: readonly string[]): string | null {
  const { record, envelope, policies } = delivery;
  const key = record === null || timeOfId(record) !== null ? null : record; // an id is no key
  return tagOf({ task: limitsName, key, limits: policies?.limits, args: () => envelope.args }, tags);
}

/** Returns the tag of the partition of the chain of an automatic task. */
export function placeOfChain(task: string, { limits }: TaskPolicies, tags: readonly string[]): string {
  return tagOf({ task, key: task, limits, args: () => NO_ARGUMENTS }, tags) ?? '';
}

function tagOf(
  routed: { task: string; key: string | null; limits: readonly LimitData[] | undefined; args(): Uint8Array },
  tags: readonly string[],
): string | null {
  if (tags.length === 1) return tags[0]!;
  const route = routeOf(routed);
  return route === null ? null : tags[partitionOf(route, tags.length)]!;
}
