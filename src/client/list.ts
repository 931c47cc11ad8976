/**
 * `docket.list()` and `docket.listPage()`: goes through the executions of a docket in bounded steps, place by place, and through
 * each place in all partitions.
 *
 * Owns the text of a position (`ListPage.next`), which programs keep between two pages, and checks it when it comes back.
 */
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames, shown, wholeNumberOf } from '../core/options.js';
import { type ExecutionState, STATES } from '../core/states.js';
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
import { waitingForOf } from '../redis/pause-store.js';
import { STREAM_NAMES } from '../redis/schema.js';
import type { ListedExecution, ListFilter, ListOptions, ListPage, ListPageOptions } from '../tasks/listing.js';
import { whereOf } from '../wire/where.js';
import type { Partition } from './partition.js';
import { checkedTaskName } from './task-name.js';

const DEFAULT_LIMIT = 100;
const MAX_PAGE = 1_000;
/** How many executions one page looks at before it ends. This takes some 50 ms, and 200 ms where arguments are compared. */
const LOOKS_OF_A_PAGE = 10_000;
/** What each step counts for at least, however little is there: a thousand limits may have one execution each. */
const LEAST_LOOKS = 64;
/** Longer than any position: a limit's name has some hundred letters, and a key 512 bytes. */
const MAX_POSITION_CHARACTERS = 8_192;

/** Running executions come first. */
export const ORDER: readonly Place[] = [...STREAM_NAMES, 'limits', 'schedule', 'ended'];

const FILTER_NAMES = { task: true, state: true, where: true } as const;
const LIST_NAMES = optionNames<ListOptions>({ ...FILTER_NAMES, limit: true, signal: true });
const PAGE_NAMES = optionNames<ListPageOptions>({ ...FILTER_NAMES, limit: true, after: true, lookAt: true });

/** Returns the partitions of the docket, by the layout that is in force. */
export type LoadPartitions = () => Promise<readonly Partition[]>;

/** Where a page of a docket begins: a position in one of its partitions. */
export interface Bookmark {
  readonly partition: Partition;
  readonly position: Position;
}

/** What a page lists, checked. */
interface PageRequest {
  readonly criteria: Criteria;
  readonly places: readonly Place[];
  readonly partitions: readonly Partition[];
  readonly from: Bookmark;
  readonly limit: number;
  readonly lookAt: number;
}

/** @throws InvalidOptionError naming the option that cannot be used */
export async function listPage(load: LoadPartitions, options: ListPageOptions): Promise<ListPage> {
  checkOptionNames(options, PAGE_NAMES, 'listPage.');
  const { after = null, limit = DEFAULT_LIMIT, lookAt = LOOKS_OF_A_PAGE } = options;
  checkRange('limit', limit, MAX_PAGE);
  checkRange('lookAt', lookAt, LOOKS_OF_A_PAGE);
  const criteria = criteriaOf(options);
  const places = placesWith(criteria.states, ORDER);
  const begin = after === null ? null : positionIn(after, places);
  const partitions = await load();
  const from = begin === null ? startIn(partitions, places) : bookmarkIn(partitions, begin);
  const { found, next, looked } = await readPage({ criteria, places, partitions, from, limit, lookAt });
  return { executions: found.map(listedExecution), lookedAt: looked, next: next && textOf(next) };
}

function checkRange(option: string, value: number, high: number): void {
  if (wholeNumberOf(value, 1, option) <= high) return;
  throw new InvalidOptionError(option, `expected a whole number from 1 to ${high}, got ${value}`);
}

/** @throws InvalidOptionError naming the option that cannot be used */
export function list(load: LoadPartitions, options: ListOptions): AsyncIterable<ListedExecution> {
  checkOptionNames(options, LIST_NAMES, 'list.');
  const { limit = DEFAULT_LIMIT, signal } = options;
  wholeNumberOf(limit, 1, 'limit');
  const criteria = criteriaOf(options);
  const places = placesWith(criteria.states, ORDER);
  return {
    async *[Symbol.asyncIterator]() {
      signal?.throwIfAborted();
      const partitions = await load();
      let from: Bookmark | null = startIn(partitions, places);
      for (let left = limit; left > 0 && from; ) {
        signal?.throwIfAborted();
        const limit = Math.min(left, DEFAULT_LIMIT);
        const request: PageRequest = { criteria, places, partitions, from, limit, lookAt: LOOKS_OF_A_PAGE };
        const { found, next } = await readPage(request);
        left -= found.length;
        yield* found.map(listedExecution);
        from = next;
      }
    },
  };
}

/** Reads a page in steps of one bounded script each. */
async function readPage({ criteria, places, partitions, from, limit, lookAt }: PageRequest): Promise<{
  readonly found: readonly Listed[];
  readonly next: Bookmark | null;
  readonly looked: number;
}> {
  const found: Listed[] = [];
  let next: Bookmark | null = from;
  let looked = 0;
  for (let spent = 0; next && found.length < limit && spent < lookAt; ) {
    const { partition, position }: Bookmark = next;
    const wanted = limit - found.length;
    const step: ListedPage = await partition.run((redis, keys) => listFrom(redis, keys, position, criteria, wanted));
    found.push(...step.found);
    looked += step.looked;
    spent += Math.max(step.looked, LEAST_LOOKS);
    next = step.next
      ? { partition, position: step.next }
      : bookmarkAfter({ partitions, places }, { partition, place: position.place });
  }
  return { found, next, looked };
}

export function startIn(partitions: readonly Partition[], places: readonly Place[]): Bookmark {
  return { partition: partitions[0]!, position: startOf(places[0]!) };
}

/** Returns the same place in the partition that follows, else the place that follows; `null` at the end. */
export function bookmarkAfter(
  { partitions, places }: Pick<PageRequest, 'partitions' | 'places'>,
  { partition, place }: { readonly partition: Partition; readonly place: Place },
): Bookmark | null {
  const following = partitions[partitions.indexOf(partition) + 1];
  if (following) return { partition: following, position: startOf(place) };
  const position = startAfter(places, place);
  return position && { partition: partitions[0]!, position };
}

/** Returns the start of the place that follows; `null` when that was the last one. */
export function startAfter(places: readonly Place[], place: Place): Position | null {
  const following = places[places.indexOf(place) + 1];
  return following === undefined ? null : startOf(following);
}

/**
 * Checks what is listed.
 * @throws InvalidOptionError naming the part that cannot be used
 */
export function criteriaOf({ task, state, where }: ListFilter): Criteria {
  return {
    task: task === undefined ? '' : checkedTaskName(task),
    states: statesOf(state),
    test: whereOf(where),
  };
}

const NOT_ENDED: readonly ExecutionState[] = ['scheduled', 'queued', 'running'];

function statesOf(state: ListFilter['state']): readonly ExecutionState[] {
  if (state === undefined) return NOT_ENDED;
  const states = typeof state === 'string' ? [state] : state;
  const isList = Array.isArray(states) && states.length > 0;
  const wrong = isList ? states.find((one) => !STATES.includes(one)) : state;
  if (isList && wrong === undefined) return states;
  throw new InvalidOptionError('state', `expected one or more of ${STATES.join(', ')}, got ${shown(wrong)}`);
}

function listedExecution(listed: Listed): ListedExecution {
  const { key, task, state, hasRecord, attempt, dueMs, worker, startedMs, endedMs, errorLine, limit, priority } =
    listed;
  const date = (ms: number | null) => (ms === null ? null : new Date(ms));
  return {
    key,
    task,
    state,
    hasRecord,
    attempt,
    priority,
    when: new Date(dueMs),
    worker,
    startedAt: date(startedMs),
    completedAt: date(endedMs),
    error: errorLine,
    waitingFor: limit && waitingForOf(limit),
  };
}

/** A position in partition 0 has no tag. */
type StoredPosition = Position & { readonly tag?: string };

function textOf({ partition: { tag }, position }: Bookmark): string {
  return Buffer.from(JSON.stringify(tag === '' ? position : { ...position, tag })).toString('base64url');
}

/** @throws InvalidOptionError when the partition is gone */
function bookmarkIn(partitions: readonly Partition[], { tag = '', ...position }: StoredPosition): Bookmark {
  const partition = partitions.find((one) => one.tag === tag);
  if (partition) return { partition, position };
  throw new InvalidOptionError('after', `the partition ${tag} of that page is gone: begin again`);
}

const DIGITS = /^\d{1,20}$/;
const ENTRY_ID = /^(\d{1,20}-\d{1,20})?$/;
/** Cursors and the two parts of an entry's id are below this. */
const TWO_TO_THE_64 = 1n << 64n;
const SCORE = /^(-?(\d+(\.\d+)?(e[+-]?\d+)?|inf))?$/;

/**
 * Reads a position.
 * @throws InvalidOptionError when it is not one, or belongs to a listing of other states
 */
function positionIn(text: unknown, places: readonly Place[]): StoredPosition {
  const position = typeof text === 'string' && text.length <= MAX_POSITION_CHARACTERS ? parsed(text) : null;
  if (position && places.includes(position.place) && isSound(position)) return position;
  throw new InvalidOptionError('after', "expected the 'next' of the page before, for the same filter");
}

function parsed(text: string): StoredPosition | null {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString()) as StoredPosition;
  } catch {
    return null;
  }
}

/** Whether a text from outside has all parts of a position, and nothing in them that a command would refuse. */
function isSound(position: StoredPosition): boolean {
  const values = Object.values(position) as unknown[];
  if (!values.every((value) => typeof value === 'string')) return false;
  switch (position.place) {
    case 'front':
    case 'high':
    case 'work':
    case 'low':
      return ENTRY_ID.test(position.id) && position.id.split('-').every(isSmallEnough);
    case 'limits':
      return isCursor(position.scan) && typeof position.limit === 'string' && isPair(position);
    case 'schedule':
      return isPair(position);
    case 'ended':
      return isCursor(position.scan) && typeof position.key === 'string';
    default:
      return false;
  }
}

function isCursor(scan: string): boolean {
  return DIGITS.test(scan) && isSmallEnough(scan);
}

function isSmallEnough(digits: string): boolean {
  return BigInt(digits) < TWO_TO_THE_64;
}

function isPair({ score, member }: { readonly score: string; readonly member: string }): boolean {
  return SCORE.test(score) && typeof member === 'string' && (score === '') === (member === '');
}
