/**
 * Has an embedded server read and change its data where they are. Its own keyspace copies a value each time a command reads
 * it, and again for everyone who may listen to a change of it: to add to a stream of 10,000 entries, it copies them all.
 * Owns the rule that no client can tell the difference.
 *
 * The commands of the server do not change what they have read, and nobody writes to a buffer that is part of a reply. That
 * was checked for streams, sorted sets and hashes. Other values are small, and are still copied.
 */

import {
  type KeyspaceEntry,
  type RedisDataValue,
  RedisKeyspace,
  RedisMutationBus,
  type RedisMutationEvent,
  type RedisMutationListener,
  type RedisServerState,
  type Unsubscribe,
} from 'js-redis-server/core';
import { SortedMembers } from './embedded-sorted-sets.js';

/**
 * Gives each database of a new server the keyspace and the bus below. Returns false, and changes nothing, when the server
 * does not have the parts that these replace. Such a server works all the same, only slower.
 */
export function keepDataInPlace(state: RedisServerState): boolean {
  const isKnown = state.databases.every(
    (database) =>
      Reflect.get(database, 'keyspace') instanceof RedisKeyspace && database.mutations instanceof RedisMutationBus,
  );
  if (!isKnown) return false;
  for (const database of state.databases) {
    const mutations = new Mutations(database.mutations, () => state.notifyKeyspaceEvents !== '');
    Object.assign(database, { mutations, keyspace: new Keyspace(database.id, mutations) });
  }
  return true;
}

type Mutator<Value, Result> = (value: Value, tracker: Tracker) => Result;
type Tracker = Parameters<Parameters<RedisKeyspace['update']>[3]>[1];

class Keyspace extends RedisKeyspace {
  override get(key: Buffer): RedisDataValue | null {
    const type = this.getType(key);
    const isInPlace = type === 'stream' || type === 'zset' || type === 'hash';
    // An update that changes nothing: the one way to a value itself.
    return isInPlace
      ? this.update<RedisDataValue, RedisDataValue>(key, type, unreachable, (value) => value)
      : super.get(key);
  }

  override update<Value extends RedisDataValue, Result>(
    key: Buffer,
    type: Value['type'],
    create: () => Value,
    mutate: Mutator<Value, Result>,
  ): Result {
    return super.update(key, type, type === 'zset' ? (createSortedSet as () => Value) : create, mutate);
  }

  /** What KEYS and SCAN look through. */
  override entriesSnapshot(): KeyspaceEntry[] {
    const entries: unknown = Reflect.get(this, 'entries'); // private, as `keyspace` is
    if (!(entries instanceof Map)) return super.entriesSnapshot();
    this.sweepExpired();
    return [...entries.values()];
  }
}

function createSortedSet(): RedisDataValue {
  return { type: 'zset', members: new SortedMembers() };
}

function unreachable(): never {
  throw new Error('a key that has a type has a value');
}

/** Tells of changes without a copy of what changed. */
class Mutations extends RedisMutationBus {
  readonly #notifier: RedisMutationBus;
  readonly #isNotifying: () => boolean;
  readonly #listeners = new Set<RedisMutationListener>();
  readonly #keyListeners = new Map<string, Set<RedisMutationListener>>();

  /** @param notifier - the bus to which the server has bound its keyspace notifications, which are rarely on */
  constructor(notifier: RedisMutationBus, isNotifying: () => boolean) {
    super();
    this.#notifier = notifier;
    this.#isNotifying = isNotifying;
  }

  override subscribe(listener: RedisMutationListener): Unsubscribe {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  override subscribeKey(key: Buffer, listener: RedisMutationListener): Unsubscribe {
    const id = key.toString('hex');
    const listeners = this.#keyListeners.get(id) ?? new Set();
    this.#keyListeners.set(id, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#keyListeners.get(id) === listeners) this.#keyListeners.delete(id);
    };
  }

  override emit(event: RedisMutationEvent): void {
    if (this.#isNotifying()) this.#notifier.emit(event);
    for (const listener of [...this.#listeners]) listener(event);
    if (this.#keyListeners.size === 0) return;
    const concerned =
      event.type === 'flush'
        ? [...this.#keyListeners.values()]
        : [this.#keyListeners.get(event.key.toString('hex')) ?? []];
    for (const listeners of concerned) for (const listener of [...listeners]) listener(event);
  }
}
