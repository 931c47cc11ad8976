/** Places, cancels and reads executions, as producers do. */

import type { Redis } from 'ioredis';
import type { Due } from '../core/due.js';
import type { Priority } from '../core/priority.js';
import { type ExecutionState, isTerminal } from '../core/states.js';
import { dueArgument } from './due-argument.js';
import type { Keys } from './keys.js';
import { priorityArgument } from './priority-argument.js';
import { type ExecutionRecord, readRecord } from './record.js';
import { isReplyError } from './reply-errors.js';
import { EVENT_FIELDS, LISTENED_FOR, LISTENER_TTL_MS, PLACEMENT, PROGRESS_FIELDS, RECORD, STREAM } from './schema.js';
import { runScript, type ScriptArgument } from './script.js';

/** How a placement treats its key; see `PLACEMENT`. */
export type PlacementKind = keyof typeof PLACEMENT;

export interface Placement {
  readonly kind: PlacementKind;
  readonly key: string;
  readonly task: string;
  /** `null` is now. */
  readonly due: Due | null;
  readonly message: Buffer;
  /** What its record says about its chain, see `RECORD.chain`. @default it is not a run of one, or has no record */
  readonly chain?: string | null;
  /** @default normal */
  readonly priority?: Priority | undefined;
}

/** An execution that keeps no record and is due now. */
export type LeanPlacement = Pick<Placement, 'message' | 'priority'>;

export interface Placed {
  readonly isNew: boolean;
  /** Generation of the execution that has the key now; 0 when there is no record. */
  readonly generation: number;
  /** Server time of the placement, in milliseconds. */
  readonly nowMs: number;
  /** Number of replicas that had it in time. Absent without `durability`. */
  readonly replicas?: number;
  /** After `replace`: the move by which a worker takes what had the key to another partition, if one does. */
  readonly move?: Move | null;
}

/**
 * Writes executions that keep no record and are due now. Returns the server's time in milliseconds.
 * @param strikes - version of the strikes they were checked against. When it is not the latest, nothing is written and
 *   `null` is returned. The same holds for `schedule` and `replace`.
 */
export async function enqueue(
  redis: Redis,
  keys: Keys,
  placements: readonly LeanPlacement[],
  strikes: string,
): Promise<number | null> {
  const names = [keys.work, keys.strikes, keys.large, keys.high, keys.low];
  const args: ScriptArgument[] = [strikes, lettersOf(placements)];
  for (const { message } of placements) args.push(message);
  return Number(await runScript(redis, 'enqueue', names, args)) || null;
}

/** Returns the letters of the streams for these placements; '' when all of them are of normal priority. */
function lettersOf(placements: readonly LeanPlacement[]): string {
  if (placements.every(({ priority = 'normal' }) => priority === 'normal')) return '';
  return placements.map(({ priority }) => priorityArgument(priority) || STREAM.work).join('');
}

/** Places executions that have a record. The first one under a key wins. Returns the results in the same order. */
export async function schedule(
  redis: Redis,
  keys: Keys,
  placements: readonly Placement[],
  strikes: string,
): Promise<Placed[] | null> {
  const args: ScriptArgument[] = [keys.prefix, placements.length, strikes];
  let countAt = -1; // index of the number of items in the current group
  let last: Placement | undefined;
  for (const placement of placements) {
    if (!last || !isAlike(last, placement)) {
      const { kind, task, due, chain, priority } = placement;
      countAt = args.push(PLACEMENT[kind], task, dueArgument(due), chain ?? '', priorityArgument(priority), 0) - 1;
      last = placement;
    }
    args[countAt] = (args[countAt] as number) + 1;
    args.push(placement.key, placement.message);
  }
  const names = [keys.work, keys.front, keys.schedule, keys.strikes];
  const reply = (await runScript(redis, 'schedule', names, args)) as (Buffer | number)[];
  if (reply.length === 0) return null;
  const nowMs = Number(reply[0]);
  const first = Number(reply[1]);
  const placed = placements.map((_, i): Placed => ({ isNew: true, generation: first + i, nowMs }));
  for (let i = 2; i < reply.length; i += 2) {
    placed[reply[i] as number] = { isNew: false, generation: Number(reply[i + 1]), nowMs };
  }
  return placed;
}

/** A move of an execution to another partition that is under way (`move-store.ts`). */
export interface Move {
  /** Tag of the partition to which it leads. */
  readonly to: string;
  readonly name: string;
  /** The generation of the execution, in either partition. */
  readonly generation: string;
}

/** Returns the move that a record names; `null` when it names none. */
export function moveIn(departing: unknown, generation: unknown): Move | null {
  const text = String(departing ?? '');
  const at = text.indexOf(' ');
  return at < 0 ? null : { to: text.slice(0, at), name: text.slice(at + 1), generation: String(generation ?? '') };
}

/** Returns what the record says about a move; '' for none. */
export function departingBy(move: Move | null): string {
  return move === null ? '' : `${move.to} ${move.name}`;
}

/** How a key is replaced. */
export interface ReplaceTerms {
  /** The version of the strikes against which the call was checked. */
  readonly strikes: string;
  /** Whether other partitions may have the key, so that the caller removes what they have (`vacate`). */
  readonly isElsewhere: boolean;
}

/** Places an execution under a key, whatever holds the key. */
export async function replace(
  redis: Redis,
  keys: Keys,
  placement: Omit<Placement, 'kind'>,
  { strikes, isElsewhere }: ReplaceTerms,
): Promise<Placed | null> {
  const { key, task, due, message, chain, priority } = placement;
  const names = [keys.work, keys.front, keys.schedule, keys.strikes];
  const about = [dueArgument(due), message, strikes, chain ?? '', priorityArgument(priority)];
  const args = [keys.prefix, key, task, ...about, isElsewhere ? '1' : ''];
  const reply = (await runScript(redis, 'replace', names, args)) as Buffer[];
  if (reply.length === 0) return null;
  return { isNew: true, generation: Number(reply[1]), nowMs: Number(reply[0]), move: moveIn(reply[2], reply[3]) };
}

/** What is removed from under a key. */
export interface VacateTarget {
  readonly key: string;
  /** Generation from which on what is there stays. @default nothing stays */
  readonly before?: number;
  /** A move that leads here: it is stopped, or what it brought is removed, and nothing else. @default none */
  readonly move?: Move;
  /** Generation that stays: of the execution for which the rest is removed, which may have been moved here. @default none */
  readonly except?: number;
}

/** What was removed from under a key. */
export interface Vacated {
  readonly wasThere: boolean;
  /** The move by which a worker takes it to another partition, if one does. */
  readonly move: Move | null;
}

/** Removes whatever is under a key, as `replace` does: it was placed in another partition. */
export async function vacate(redis: Redis, keys: Keys, target: VacateTarget): Promise<Vacated> {
  const { key, before, move, except } = target;
  const args = [keys.prefix, key, before ?? '', move?.name ?? '', move?.generation ?? '', except ?? ''];
  const reply = (await runScript(redis, 'vacate', [keys.work, keys.front, keys.schedule], args)) as unknown[];
  return { wasThere: reply[0] === 1, move: moveIn(reply[1], reply[2]) };
}

/** Finds out whether the server can wait for its replicas. The embedded server cannot. */
export async function canWaitForReplicas(redis: Redis): Promise<boolean> {
  try {
    await redis.wait(0, 1);
    return true;
  } catch (error) {
    if (isReplyError(error)) return false;
    throw error;
  }
}

/** Waits until replicas have everything that was written on this connection. Returns the number that had it in time. */
export async function waitForReplicas(redis: Redis, replicas: number, timeoutMs: number): Promise<number> {
  return await redis.wait(replicas, timeoutMs);
}

/** What a cancel found, and what became of it; `state` is '' when it is not known. */
export interface Cancelled {
  readonly state: ExecutionState | '';
  readonly outcome: 'removed' | 'stopping' | 'ended' | 'unknown';
  /** Entries of this partition, if the key has no record there; else 0. */
  readonly entries: number;
}

/** An execution that a worker moves to another partition. It is cancelled there first. */
export interface CancelDeparting {
  readonly state: ExecutionState;
  readonly outcome: 'departing';
  readonly move: Move;
}

/** Which execution is cancelled. */
export interface CancelTarget {
  readonly key: string;
  /** The token of the delivery that must have the key; '' for whatever has it. @default '' */
  readonly token?: string;
  /** The token of the entry as which an execution without a record was seen. @default '' */
  readonly seenAs?: string;
  /** The move that was stopped where it leads, so that the execution is cancelled here. @default none */
  readonly stopped?: Move | null;
  /** A move that leads here: it is stopped, or what it brought is cancelled, and nothing else. @default none */
  readonly move?: Move | null;
  /** Whether the partition remembers the key where it has no record, for the worker that may meet it. @default true */
  readonly isRemembered?: boolean;
  /** Entries of the whole docket: so many keys are remembered at least. @default those of this partition */
  readonly docketEntries?: number;
}

/**
 * Cancels an execution wherever it is. If it runs, its worker is asked to stop it, and this does not wait for that. With a
 * token only the delivery that runs is cancelled; returns `null` when the key has passed to another.
 */
export async function cancel(
  redis: Redis,
  keys: Keys,
  { key, token = '', seenAs = '', stopped = null, move = null, isRemembered = true, docketEntries = 0 }: CancelTarget,
): Promise<Cancelled | CancelDeparting | null> {
  const about = [departingBy(stopped), move?.name ?? '', move?.generation ?? ''];
  const args = [keys.prefix, key, token, seenAs, ...about, isRemembered ? '1' : '0', docketEntries];
  const reply = (await runScript(redis, 'cancel', [keys.work, keys.front, keys.schedule], args)) as Buffer[] | null;
  if (reply === null) return null;
  const [state, outcome, more, generation] = reply.map(String);
  const departure = outcome === 'departing' ? moveIn(more, generation) : null;
  if (departure !== null) return { state: state as ExecutionState, outcome: 'departing', move: departure };
  return { state, outcome, entries: Number(more ?? 0) } as Cancelled;
}

/** Reads one execution. Returns `null` when there is no record. */
export async function readExecution(redis: Redis, keys: Keys, key: string): Promise<ExecutionRecord | null> {
  const reply = (await runScript(redis, 'read', [keys.work, keys.front, keys.record(key)], [keys.prefix])) as Buffer[];
  if (reply.length === 0) return null;
  const fields = new Map<string, Buffer>();
  for (let i = 0; i + 1 < reply.length; i += 2) fields.set(reply[i]!.toString(), reply[i + 1]!);
  if (!fields.has(RECORD.state)) return null; // another program wrote it
  return readRecord(fields, { timeUs: Number(fields.get('')), message: reply.at(-1)! });
}

/** One placement under a key. */
export interface PlacementId {
  readonly key: string;
  readonly generation: number;
}

/** How a placement was found: it has not ended, it has ended with this record, or its record must be read (`readExecution`). */
export type Look = 'open' | 'unclear' | ExecutionRecord;

/**
 * Looks whether placements have ended. This costs the server and the caller a fraction of what reading costs, and many
 * placements share a round trip. It is unclear when the record is gone, belongs to another placement, or is not a record.
 * The records that are returned have no message and no time.
 */
export async function lookForEnds(redis: Redis, keys: Keys, placements: readonly PlacementId[]): Promise<Look[]> {
  const pipeline = redis.pipeline();
  for (const { key } of placements) pipeline.hmgetBuffer(keys.record(key), ...END_FIELDS);
  const replies = (await pipeline.exec()) ?? [];
  return placements.map(({ generation }, i) => {
    const [error, values] = replies[i]!;
    if (error && !isReplyError(error)) throw error;
    const fields = new Map<string, Buffer>();
    if (!error)
      for (const [at, value] of (values as (Buffer | null)[]).entries()) if (value) fields.set(END_FIELDS[at]!, value);
    const state = fields.get(RECORD.state)?.toString() as ExecutionState | undefined;
    if (!state || Number(fields.get(RECORD.generation)) !== generation) return 'unclear';
    return isTerminal(state) ? readRecord(fields, { timeUs: 0, message: NO_MESSAGE }) : 'open';
  });
}

const END_FIELDS: readonly string[] = [
  RECORD.state,
  RECORD.generation,
  RECORD.task,
  RECORD.result,
  RECORD.error,
  ...EVENT_FIELDS,
  ...PROGRESS_FIELDS,
];
const NO_MESSAGE = Buffer.alloc(0);

/** The time between two renewals of the marker: six renewals fit into its lifetime. */
export const LISTENER_RENEWAL_MS = LISTENER_TTL_MS / 6;

/** The events that a listener needs; see `LISTENED_FOR`. */
export type ListenedFor = keyof typeof LISTENED_FOR;

/** Marks that somebody listens for events of this docket. A listener that needs fewer leaves the marker of others as it is. */
export async function markListening(redis: Redis, keys: Keys, events: ListenedFor): Promise<void> {
  if (events === 'all') {
    await redis.set(keys.listeners, LISTENED_FOR.all, 'PX', LISTENER_TTL_MS);
    return;
  }
  const extending = redis.pexpire(keys.listeners, LISTENER_TTL_MS);
  const setting = redis.set(keys.listeners, LISTENED_FOR.ends, 'PX', LISTENER_TTL_MS, 'NX');
  await Promise.all([extending, setting]);
}

/** Whether two placements differ in key and message only, so that they can share a group. */
function isAlike(a: Placement, b: Placement): boolean {
  return a.kind === b.kind && a.task === b.task && a.due === b.due && a.chain === b.chain && a.priority === b.priority;
}
