/**
 * Cancels, replaces and clears executions that a worker is moving from one partition to another.
 *
 * Owns the rule that neither a cancel nor a replace nor a clear is lost between the steps of a move. The record of the
 * execution names the move, so the move is stopped in the partition to which it leads. If the execution has arrived
 * there before, it is cancelled or removed there instead.
 */
import { RedisUnavailableError } from '../core/errors.js';
import { type ClearTarget, clearMoving } from '../redis/clear-store.js';
import { describeDocket } from '../redis/docket-settings.js';
import {
  type Cancelled,
  type CancelTarget,
  cancel,
  type Move,
  type VacateTarget,
  vacate,
} from '../redis/producer-store.js';
import type { Partition } from './partition.js';

/** Returns the partition with a tag. */
export type PartitionAt = (tag: string) => Partition;

/** How many moves of one execution are followed. Workers of the same version move it only once. */
const MOST_MOVES = 8;

/**
 * Cancels an execution in one partition, or in the partition to which a worker moves it.
 * @returns `null` when its token is no longer that of the record
 * @throws RedisUnavailableError when a partition cannot be reached
 */
export async function cancelIn(at: PartitionAt, partition: Partition, target: CancelTarget): Promise<Cancelled | null> {
  return await follow(at, partition, target, MOST_MOVES);
}

async function follow(
  at: PartitionAt,
  partition: Partition,
  target: CancelTarget,
  movesLeft: number,
): Promise<Cancelled | null> {
  const found = await partition.run((redis, keys) => cancel(redis, keys, target));
  if (found === null || found.outcome !== 'departing') return found;
  const { state, move } = found;
  if (movesLeft === 0) {
    const where = describeDocket(partition.settings);
    throw new RedisUnavailableError(`${where} moves '${target.key}' again and again: try again`);
  }
  const { key } = target;
  const there = await follow(at, at(move.to), { key, move }, movesLeft - 1);
  if (there?.outcome !== 'removed') return there; // it has arrived, and the worker removes it here
  await follow(at, partition, { ...target, stopped: move }, movesLeft - 1);
  return { state, outcome: 'removed', entries: 0 };
}

/**
 * Removes an execution that a worker moves from this partition to another one, unless it has started there. So it ends
 * once: what has started there stays, and the worker removes it here.
 * @returns whether it was removed
 * @throws RedisUnavailableError when a partition cannot be reached
 */
export async function clearMovingFrom(at: PartitionAt, from: Partition, key: string, move: Move): Promise<boolean> {
  const { generation } = move;
  return await clearThenHere(at, from, { key, generation, stopped: move }, MOST_MOVES);
}

/** Removes an execution where the move leads that `target` names, and then here. */
async function clearThenHere(
  at: PartitionAt,
  here: Partition,
  target: ClearTarget & { readonly stopped: Move },
  movesLeft: number,
): Promise<boolean> {
  const { key, generation, stopped } = target;
  const clear = async (partition: Partition, what: ClearTarget): Promise<boolean> => {
    const { wasRemoved, move } = await partition.run((redis, keys) => clearMoving(redis, keys, what));
    if (move === null || movesLeft === 0) return wasRemoved;
    return await clearThenHere(at, partition, { ...what, stopped: move }, movesLeft - 1);
  };
  return (await clear(at(stopped.to), { key, generation, move: stopped })) && (await clear(here, target));
}

/** Removes the execution under a key in one partition, also if a worker moves it to another. Returns whether there was one. */
export async function vacateIn(at: PartitionAt, partition: Partition, target: VacateTarget): Promise<boolean> {
  const { wasThere, move } = await partition.run((redis, keys) => vacate(redis, keys, target));
  if (move !== null) await stopMove(at, target.key, move);
  return wasThere;
}

/** Stops the move of an execution that was replaced, or removes the execution where it has arrived. */
export async function stopMove(at: PartitionAt, key: string, stopped: Move): Promise<void> {
  let move: Move | null = stopped;
  for (let moves = 0; move !== null && moves < MOST_MOVES; moves++) {
    const target: VacateTarget = { key, move };
    ({ move } = await at(move.to).run((redis, keys) => vacate(redis, keys, target)));
  }
}
