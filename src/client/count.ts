/** `docket.count()`: counts executions by task and by the value of an argument, in bounded steps. */
import { InvalidOptionError, UndecodableValueError } from '../core/errors.js';
import { checkOptionNames, optionNames, shown, wholeNumberOf } from '../core/options.js';
import { type Criteria, type ListedPage, listFrom, placesWith } from '../redis/listing-store.js';
import { BATCH_ITEMS } from '../redis/schema.js';
import type { CountOptions, ExecutionCount, ExecutionCounts } from '../tasks/counting.js';
import { Envelope } from '../wire/envelope.js';
import { type Picked, pickArguments } from '../wire/pick.js';
import { type Bookmark, bookmarkAfter, criteriaOf, type LoadPartitions, ORDER, startIn } from './list.js';

const DEFAULT_LOOKS = 100_000;
/** Somebody may count by an argument that is different each time. */
const MAX_COUNTS = 10_000;

const COUNT_NAMES = optionNames<CountOptions>({
  task: true,
  state: true,
  where: true,
  by: true,
  lookAt: true,
  signal: true,
});

/** @throws InvalidOptionError naming the option that cannot be used */
export async function countExecutions(load: LoadPartitions, options: CountOptions): Promise<ExecutionCounts> {
  checkOptionNames(options, COUNT_NAMES, 'count.');
  const { by, lookAt = DEFAULT_LOOKS, signal } = options;
  wholeNumberOf(lookAt, 1, 'lookAt');
  if (by !== undefined && (typeof by !== 'string' || by === '')) {
    throw new InvalidOptionError('by', `expected the name of an argument, got ${shown(by)}`);
  }
  const criteria = criteriaOf(options);
  const places = placesWith(criteria.states, ORDER);
  const tally = new Tally();
  const counting = by === undefined ? criteria : countingBy(by, criteria, tally);
  const partitions = await load();
  let lookedAt = 0;
  let next: Bookmark | null = startIn(partitions, places);
  while (next && lookedAt < lookAt) {
    signal?.throwIfAborted();
    const { partition, position }: Bookmark = next;
    const page: ListedPage = await partition.run((redis, keys) =>
      listFrom(redis, keys, position, counting, BATCH_ITEMS),
    );
    for (const { task } of page.found) tally.add(task);
    lookedAt += page.looked;
    next = page.next
      ? { partition, position: page.next }
      : bookmarkAfter({ partitions, places }, { partition, place: position.place });
  }
  return { ...tally.result(), lookedAt, isWhole: next === null };
}

/** Counts what matches as it is looked at, and lets nothing through: only the messages have the arguments. */
function countingBy(by: string, criteria: Criteria, tally: Tally): Criteria {
  const names = [by];
  const test = (message: Uint8Array) => {
    if (criteria.test && !criteria.test(message)) return false;
    const read = readMessage(message, names);
    if (read) tally.add(read.task, read.picked.get(by));
    return false;
  };
  return { ...criteria, test };
}

/** Returns `null` for a message that cannot be read: a worker will put it into quarantine. */
function readMessage(message: Uint8Array, names: readonly string[]) {
  try {
    const envelope = new Envelope(message);
    return { task: envelope.task, picked: envelope.isReadable ? pickArguments(envelope.args, names) : NOTHING };
  } catch (error) {
    if (error instanceof UndecodableValueError) return null;
    throw error;
  }
}

const NOTHING: ReadonlyMap<string, Picked> = new Map();

/** Counts by task and value. Owns the bound on how many counts there are. */
class Tally {
  readonly #counts = new Map<string, { readonly task: string; readonly picked: Picked | undefined; count: number }>();
  #others = 0;

  add(task: string, picked?: Picked): void {
    const isValue = picked !== undefined && picked.type !== 'other';
    const name = JSON.stringify(isValue ? [task, picked.type, String(picked.value)] : [task]);
    const counted = this.#counts.get(name);
    if (counted) counted.count += 1;
    else if (this.#counts.size < MAX_COUNTS) this.#counts.set(name, { task, picked, count: 1 });
    else this.#others += 1;
  }

  result(): Pick<ExecutionCounts, 'counts' | 'others'> {
    const counts = [...this.#counts.values()]
      .toSorted((a, b) => b.count - a.count)
      .map(({ task, picked, count }): ExecutionCount => {
        if (picked === undefined || picked.type === 'other') return { task, count };
        return { task, value: picked.type === 'date' ? new Date(picked.value) : picked.value, count };
      });
    return { counts, others: this.#others };
  }
}
