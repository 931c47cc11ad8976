/**
 * `docket.cancelMany()`: cancels all executions that match a filter, in bounded steps.
 *
 * Owns the order of the places. Executions move from limits and the schedule to the streams, so it walks through the places in that
 * order, as `clear` does, and repeats the walk until one finds nothing. So it finds every execution that existed before the call
 * and is not running, wherever it moves. Executions that are added during the call may be found, too.
 */
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, flagOf, optionNames, shown, wholeNumberOf } from '../core/options.js';
import { streamNamed } from '../redis/keys.js';
import {
  type Criteria,
  type Listed,
  type ListedPage,
  listFrom,
  type Place,
  type Position,
  placesWith,
  startOf,
} from '../redis/listing-store.js';
import type { Cancelled } from '../redis/producer-store.js';
import { STREAM_NAMES } from '../redis/schema.js';
import { serverTimeMs } from '../redis/time.js';
import type { CancelFilter, CancellableState, CancelReport, CancelResult } from '../tasks/cancelling.js';
import { criteriaOf, startAfter } from './list.js';
import { cancelIn, type PartitionAt } from './moves.js';
import type { Partition } from './partition.js';

const OPTION_NAMES = optionNames<CancelFilter>({
  task: true,
  state: true,
  where: true,
  all: true,
  limit: true,
  signal: true,
});

const ORDER: readonly Place[] = ['limits', 'schedule', ...STREAM_NAMES];
/** Passes through all places. Executions that workers read and park move back, so one is not enough. */
const MOST_PASSES = 8;
/** Executions that are cancelled at once, one script each. */
const STEP = 64;
const CANCELLABLE: readonly unknown[] = ['scheduled', 'queued', 'running'] satisfies CancellableState[];

/**
 * Checks which executions are meant.
 * @throws InvalidOptionError when nothing says which, or something cannot be used
 */
export function cancelCriteria(filter: CancelFilter): Criteria {
  checkOptionNames(filter, OPTION_NAMES, 'cancelMany.');
  const { task, state, where, all = false, limit } = filter;
  if (limit !== undefined) wholeNumberOf(limit, 1, 'cancelMany.limit');
  const isAll = flagOf(all, 'all');
  const given = { ...(task !== undefined && { task }), ...(state !== undefined && { state }), ...(where && { where }) };
  const criteria = criteriaOf(given);
  const ended = criteria.states.find((one) => !CANCELLABLE.includes(one));
  if (ended) throw new InvalidOptionError('state', `expected scheduled, queued or running, got ${shown(ended)}`);
  const isNamed = criteria.task !== '' || state !== undefined || criteria.test !== null;
  if (isNamed === isAll) {
    throw new InvalidOptionError(
      'all',
      isAll ? 'give a filter, or all, not both' : 'give a task, a state, arguments, or all: true',
    );
  }
  return criteria;
}

/** Cancels the executions of one partition. */
export async function cancelMatching(
  at: PartitionAt,
  partition: Partition,
  criteria: Criteria,
  { limit = Number.POSITIVE_INFINITY, signal }: Pick<CancelFilter, 'limit' | 'signal'>,
): Promise<CancelReport> {
  const places = placesWith(criteria.states, ORDER);
  const counts = { removed: 0, stopping: 0, missed: 0 };
  /** Executions that were asked to stop stay where they are until they do. There are as many as workers have at most. */
  const asked = new Set<string>();
  const left = () => limit - counts.removed - counts.stopping - counts.missed;
  for (let pass = 0, isNew = true; isNew && left() > 0 && pass < MOST_PASSES; pass++) {
    isNew = false;
    const beganMs = await partition.run(serverTimeMs);
    for (let position: Position | null = startOf(places[0]!); position && left() > 0; ) {
      signal?.throwIfAborted();
      const from: Position = position;
      const page: ListedPage = await partition.run((redis, keys) => listFrom(redis, keys, from, criteria, STEP));
      const { found, next } = page;
      const fresh = found.filter(({ location }) => !asked.has(location)).slice(0, left());
      isNew ||= fresh.length > 0;
      for (const [i, { outcome }] of (await cancelEach(at, partition, fresh)).entries()) {
        if (outcome === 'stopping') asked.add(fresh[i]!.location);
        counts[outcome === 'removed' || outcome === 'stopping' ? outcome : 'missed'] += 1;
      }
      position = next && !isAddedAfter(next, beganMs) ? next : startAfter(places, from.place);
    }
  }
  return counts;
}

/** Whether the stream continues with entries of a later time: producers may add faster than this cancels. */
function isAddedAfter(position: Position, atMs: number): boolean {
  return 'id' in position && Number.parseInt(position.id, 10) > atMs;
}

async function cancelEach(at: PartitionAt, partition: Partition, found: readonly Listed[]): Promise<Cancelled[]> {
  const cancels = found.map(({ key, hasRecord, location }) => {
    const seenAs = !hasRecord && streamNamed(location[0]) ? location : '';
    return cancelIn(at, partition, { key, seenAs });
  });
  return (await Promise.all(cancels)).map((cancelled) => cancelled!); // none is given a token that could be outdated
}

/** Tells what became of one execution. */
export function cancelResult({ state, outcome }: Cancelled): CancelResult {
  return { state: state || null, outcome: outcome === 'ended' ? 'ended already' : outcome };
}
