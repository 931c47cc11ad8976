/**
 * Lists executions by where they are, a bounded page at a time: on the streams, in line at limits, on the schedule, and the
 * records of those that have ended.
 *
 * Owns positions. Each says exactly behind which entry, member or key its page ended, so that a listing goes on there, however
 * many executions were added or removed meanwhile. An execution that moves may still be met twice or not at all.
 */
import type { Redis } from 'ioredis';
import { assertNever } from '../core/assert.js';
import { UndecodableValueError } from '../core/errors.js';
import type { Priority } from '../core/priority.js';
import { type ExecutionState, isTerminal } from '../core/states.js';
import { Envelope } from '../wire/envelope.js';
import { workerNameOf } from './fleet-store.js';
import type { Keys } from './keys.js';
import { priorityOf } from './priority-argument.js';
import { BATCH_ITEMS, PARKED, STREAM, type StreamName } from './schema.js';
import { runScript } from './script.js';

/** Behind what a page begins. Empty texts stand for the start of a place. */
export type Position =
  | { readonly place: StreamName; readonly id: string }
  | {
      readonly place: 'limits';
      /** The server's cursor through the names of limits. */
      readonly scan: string;
      /** Name of the first limit of that page which is not done. */
      readonly limit: string;
      readonly score: string;
      readonly member: string;
    }
  | { readonly place: 'schedule'; readonly score: string; readonly member: string }
  | {
      readonly place: 'ended' /** The server's cursor through all keys. */;
      readonly scan: string;
      readonly key: string;
    };

export type Place = Position['place'];

/** Which executions are listed. */
export interface Criteria {
  /** Name of the task; '' for any. */
  readonly task: string;
  readonly states: readonly ExecutionState[];
  /** Whether they are listed with their messages, and only if this holds for them. */
  readonly test: ((message: Uint8Array) => boolean) | null;
}

/** An execution as a listing finds it. Times are server milliseconds. */
export interface Listed {
  /** Token of its entry, or its member of the schedule or of a limit; '' when it has ended. */
  readonly location: string;
  /** Its key or id. */
  readonly key: string;
  readonly hasRecord: boolean;
  readonly state: ExecutionState;
  readonly task: string;
  readonly attempt: number;
  readonly worker: string | null;
  readonly startedMs: number | null;
  readonly dueMs: number;
  readonly endedMs: number | null;
  readonly errorLine: string | null;
  /** `null` once it has ended. */
  readonly priority: Priority | null;
  /** Name of the limit at which it waits. */
  readonly limit: string | null;
  /** While it waits for permits: those it needs, as `<name> <max> <name> <max> ...`. */
  readonly needs: string;
}

/** A page of a place. */
export interface Page<Next> {
  readonly found: readonly Listed[];
  /** Where the place goes on; `null` at its end. */
  readonly next: Next | null;
  /** How many executions were looked at. */
  readonly looked: number;
}

export type ListedPage = Page<Position>;

/** Returns the start of a place. */
export function startOf(place: Place): Position {
  switch (place) {
    case 'front':
    case 'high':
    case 'work':
    case 'low':
      return { place, id: '' };
    case 'limits':
      return { place, scan: '0', limit: '', score: '', member: '' };
    case 'schedule':
      return { place, score: '', member: '' };
    case 'ended':
      return { place, scan: '0', key: '' };
    default:
      return assertNever(place);
  }
}

/** Returns those of the places that can have executions in these states, in the same order. */
export function placesWith(states: readonly ExecutionState[], order: readonly Place[]): Place[] {
  const has = (state: ExecutionState) => states.includes(state);
  const isOnStream = has('running') || has('queued');
  const isWanted: Record<Place, boolean> = {
    front: isOnStream,
    high: isOnStream,
    work: isOnStream,
    low: isOnStream,
    limits: has('queued'),
    schedule: has('scheduled'),
    ended: states.some(isTerminal),
  };
  return order.filter((place) => isWanted[place]);
}

/**
 * Lists up to `wanted` executions behind a position. Looks at no more than one script may, so it may find none and not be at
 * the end.
 */
export async function listFrom(
  redis: Redis,
  keys: Keys,
  position: Position,
  criteria: Criteria,
  wanted: number,
): Promise<ListedPage> {
  switch (position.place) {
    case 'front':
    case 'high':
    case 'work':
    case 'low':
      return await listEntries(redis, keys, { ...position, criteria, wanted });
    case 'limits':
      return await listLimits(redis, keys, position, criteria, wanted);
    case 'schedule': {
      const { next, ...page } = await listParked(redis, keys, { ...position, limit: '', criteria, wanted });
      return { ...page, next: next && { place: 'schedule', ...next } };
    }
    case 'ended':
      return await listEnded(redis, keys, position, criteria, wanted);
    default:
      return assertNever(position);
  }
}

/** Finds the entry of an execution without a record, by its id. Looks at a bounded number of entries behind `id`. */
export async function findEntry(
  redis: Redis,
  keys: Keys,
  place: StreamName,
  { id, wantedId }: { readonly id: string; readonly wantedId: string },
): Promise<ListedPage> {
  const criteria: Criteria = { task: '', states: ['queued', 'running'], test: null };
  return await listEntries(redis, keys, { place, id, criteria, wanted: 1, wantedId });
}

interface EntriesPage {
  readonly place: StreamName;
  readonly id: string;
  readonly criteria: Criteria;
  readonly wanted: number;
  readonly wantedId?: string;
}

async function listEntries(redis: Redis, keys: Keys, page: EntriesPage): Promise<ListedPage> {
  const { place, id, criteria, wanted, wantedId = '' } = page;
  const isRead = criteria.states.every((state) => state === 'running') ? 1 : '';
  return await matching(criteria, wanted, async (count) => {
    const args = [keys.prefix, STREAM[place], id, isRead, looksOf(criteria), count, ...criteriaOf(criteria), wantedId];
    const reply = await runScript(redis, 'page-entries', [keys.work, keys.front], args);
    const [next, looked, matches] = reply as [Buffer, number, Buffer[][]];
    return { matches, looked, next: next.length > 0 ? { place, id: next.toString() } : null };
  });
}

interface ParkedPage {
  /** Name of the limit; '' for the schedule. */
  readonly limit: string;
  readonly score: string;
  readonly member: string;
  readonly criteria: Criteria;
  readonly wanted: number;
}

/** Lists the executions on the schedule, or in line at one limit. */
export async function listParked(
  redis: Redis,
  keys: Keys,
  { limit, score, member, criteria, wanted }: ParkedPage,
): Promise<Page<{ readonly score: string; readonly member: string }>> {
  return await matching(criteria, wanted, async (count) => {
    const args = [keys.prefix, limit, score, member, looksOf(criteria), count, ...criteriaOf(criteria)];
    const reply = await runScript(redis, 'page-parked', [keys.work, keys.front, keys.schedule], args);
    const [nextScore, nextMember, looked, matches] = reply as [Buffer, Buffer, number, Buffer[][]];
    const next = nextMember.length > 0 ? { score: nextScore.toString(), member: nextMember.toString() } : null;
    return { matches, looked, next };
  });
}

/**
 * Reads a page of what a script finds and keeps what passes the test, which the script cannot make. When more pass than are
 * wanted, it reads again, up to the last one wanted, so that the next page begins behind that.
 */
async function matching<Next>(
  { test }: Criteria,
  wanted: number,
  read: (count: number) => Promise<{ matches: Buffer[][]; looked: number; next: Next | null }>,
): Promise<Page<Next>> {
  for (let count = test ? BATCH_ITEMS : wanted; ; ) {
    const { matches, looked, next } = await read(count);
    const passing = [...matches.keys()].filter((i) => !test || test(matches[i]!.at(-1)!));
    if (passing.length <= wanted) return { found: passing.map((i) => listedOf(matches[i]!)), looked, next };
    count = passing[wanted - 1]! + 1;
  }
}

/** Lines of limits that are looked at in one step. Most are short. */
const LINES = 16;

async function listLimits(
  redis: Redis,
  keys: Keys,
  position: Extract<Position, { place: 'limits' }>,
  criteria: Criteria,
  wanted: number,
): Promise<ListedPage> {
  const [scan, page] = await redis.hscan(keys.waiting, position.scan, 'COUNT', BATCH_ITEMS);
  const names = page.filter((_, i) => i % 2 === 0).sort();
  const left = names.filter((name) => name >= position.limit);
  const lines = await Promise.all(
    left.slice(0, LINES).map((limit) => {
      const { score, member } = limit === position.limit ? position : { score: '', member: '' };
      return listParked(redis, keys, { limit, score, member, criteria, wanted });
    }),
  );
  const found: Listed[] = [];
  let looked = 0;
  for (const [i, line] of lines.entries()) {
    const limit = left[i]!;
    const at = { place: 'limits', scan: position.scan, limit } as const;
    if (found.length + line.found.length > wanted) return { found, looked, next: { ...at, score: '', member: '' } };
    found.push(...line.found);
    looked += line.looked;
    if (line.next) return { found, looked, next: { ...at, ...line.next } };
  }
  const following = left[LINES];
  const start = { place: 'limits', score: '', member: '' } as const;
  if (following !== undefined) return { found, looked, next: { ...start, scan: position.scan, limit: following } };
  return { found, looked, next: scan === '0' ? null : { ...start, scan, limit: '' } };
}

/** Messages that are read at once. A single one may have 1 MiB. */
const MESSAGES = 16;

async function listEnded(
  redis: Redis,
  keys: Keys,
  position: Extract<Position, { place: 'ended' }>,
  criteria: Criteria,
  wanted: number,
): Promise<ListedPage> {
  const states = statesText({ states: criteria.states.filter(isTerminal) });
  const args = [keys.prefix, position.scan, criteria.task, states];
  const reply = await runScript(redis, 'page-ended', [keys.work], args);
  const [scan, looked, matches] = reply as [Buffer, number, Buffer[][]];
  const { test } = criteria;
  const listed = matches.map(listedOf).sort((a, b) => (a.key < b.key ? -1 : 1));
  const found: Listed[] = [];
  const left = listed.filter(({ key }) => key > position.key);
  for (let i = 0; i < left.length; i += MESSAGES) {
    const group = left.slice(i, i + MESSAGES);
    const messages = test && (await Promise.all(group.map(({ key }) => messageOf(redis, keys, key))));
    for (const [j, one] of group.entries()) {
      if (found.length === wanted) {
        const last = left[i + j - 1]!;
        // The next step begins with the same keys, and counts them.
        return { found, looked: 0, next: { place: 'ended', scan: position.scan, key: last.key } };
      }
      const message = messages?.[j];
      if (!test || (message && test(message))) found.push(one);
    }
  }
  const next = scan.toString();
  return { found, looked, next: next === '0' ? null : { place: 'ended', scan: next, key: '' } };
}

async function messageOf(redis: Redis, keys: Keys, key: string): Promise<Buffer | null> {
  return await redis.hgetBuffer(keys.record(key), PARKED.message).catch(() => null);
}

/**
 * How many entries or members one script looks at. Where their arguments are compared, it reads the record and the message of
 * each, which takes three times as long.
 */
function looksOf({ test }: Criteria): number {
  return test ? BATCH_ITEMS / 2 : BATCH_ITEMS;
}

function criteriaOf(criteria: Criteria): [task: string, states: string, wantsMessages: string] {
  return [criteria.task, statesText(criteria), criteria.test ? '1' : ''];
}

function statesText({ states }: Pick<Criteria, 'states'>): string {
  return `,${states.join(',')},`;
}

/** Reads one match, as `_listing.lua` writes it. */
function listedOf(match: readonly Buffer[]): Listed {
  const [
    location,
    key,
    hasRecord,
    state,
    task,
    attempt,
    worker,
    started,
    due,
    ended,
    errorLine,
    limit,
    needs,
    consumer,
    priority,
  ] = match.map(String) as [string, string, ...string[]];
  const number = (text: string | undefined) => (text ? Number(text) : null);
  const attemptOfMessage = attemptIn(match.at(-1)!);
  const isWaiting = state === 'scheduled' || state === 'queued';
  const recorded = number(attempt) ?? 1;
  // While a retry waits, the record has the attempt before.
  const isOfEarlier = hasRecord !== '' && isWaiting && attemptOfMessage > recorded;
  return {
    location,
    key: key || location,
    hasRecord: hasRecord !== '',
    state: state as ExecutionState,
    task: task!,
    attempt: hasRecord === '' || isOfEarlier ? Math.max(1, attemptOfMessage) : recorded,
    worker: isOfEarlier ? null : worker || (consumer && state === 'running' ? workerNameOf(consumer) : null),
    startedMs: isOfEarlier ? null : number(started),
    dueMs: number(due) ?? 0,
    endedMs: number(ended),
    errorLine: errorLine || null,
    priority: isTerminal(state as ExecutionState) ? null : priorityOf(priority!),
    limit: limit || null,
    needs: needs!,
  };
}

function attemptIn(message: Buffer): number {
  if (message.length === 0) return 0;
  try {
    return new Envelope(message).attempt;
  } catch (error) {
    if (!(error instanceof UndecodableValueError)) throw error;
    return 0; // a worker will put it into quarantine
  }
}
