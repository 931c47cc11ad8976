/** What a producer reads and writes: placing executions, reading their records, hearing of their events. */

import type { Redis } from 'ioredis';
import type { Due } from '../core/due.js';
import type { ExecutionState } from '../core/states.js';
import type { Keys } from './keys.js';
import { type ProgressRecord, progressOf } from './progress-store.js';
import { isReplyError } from './reply-errors.js';
import { runScript, type ScriptArgument } from './script.js';

/** How a placement treats its key: new for certain, given by the caller, or in need of a record only while parked. */
export type PlacementKind = 'unique' | 'keyed' | 'lean';

export interface Placement {
  readonly kind: PlacementKind;
  readonly key: string;
  readonly task: string;
  /** `null` is now. */
  readonly due: Due | null;
  readonly message: Buffer;
}

export interface Placed {
  readonly isNew: boolean;
  /** Generation of the execution that has the key now; 0 when none is kept. */
  readonly generation: number;
  /** Server time of the placement, in milliseconds. */
  readonly nowMs: number;
  /** Replicas that had it in time, if anybody asked. */
  readonly replicas?: number;
}

/** What is known of an execution. Times are server milliseconds. */
export interface ExecutionRecord {
  readonly state: ExecutionState;
  readonly generation: number;
  readonly task: string;
  readonly dueMs: number;
  readonly attempt: number;
  readonly worker: string | null;
  readonly startedMs: number | null;
  readonly completedMs: number | null;
  readonly result: Buffer | null;
  readonly error: Buffer | null;
  readonly errorLine: string | null;
  readonly progress: ProgressRecord;
  /** Server time of the reading, in microseconds. */
  readonly readUs: number;
  /** Name of the limit it waits at for a slot. */
  readonly waitingFor: string | null;
  /** The message; gone once the execution has ended. */
  readonly message: Buffer | null;
}

const KIND_LETTER = { unique: 'u', keyed: 'k', lean: 'l' } as const;

/**
 * Writes executions that keep no record and are due now; answers with the server's time.
 * @param strikes - version of the strikes they were checked against; when it is not the latest, nothing is written, and the
 *   answer is `null`, as for the next two
 */
export async function enqueue(
  redis: Redis,
  keys: Keys,
  messages: readonly Buffer[],
  strikes: string,
): Promise<number | null> {
  return Number(await runScript(redis, 'enqueue', [keys.work, keys.strikes], [strikes, ...messages])) || null;
}

/** Places executions that have a record. First one wins; the answers are in the order of the placements. */
export async function schedule(
  redis: Redis,
  keys: Keys,
  placements: readonly Placement[],
  strikes: string,
): Promise<Placed[] | null> {
  const args: ScriptArgument[] = [keys.prefix, placements.length, strikes];
  let group = -1; // where the count of the current group stands
  let last: Placement | undefined;
  for (const placement of placements) {
    if (!last || !isAlike(last, placement)) {
      args.push(KIND_LETTER[placement.kind], placement.task, dueArgument(placement.due), 0);
      group = args.length - 1;
      last = placement;
    }
    args[group] = (args[group] as number) + 1;
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

/** Places an execution under a key, whoever has it. */
export async function replace(
  redis: Redis,
  keys: Keys,
  placement: Omit<Placement, 'kind'>,
  strikes: string,
): Promise<Placed | null> {
  const { key, task, due, message } = placement;
  const names = [keys.work, keys.front, keys.schedule, keys.strikes];
  const args = [keys.prefix, key, task, dueArgument(due), message, strikes];
  const reply = (await runScript(redis, 'replace', names, args)) as Buffer[];
  if (reply.length === 0) return null;
  return { isNew: true, generation: Number(reply[1]), nowMs: Number(reply[0]) };
}

/** Whether the server can be asked to wait for its replicas; the embedded one cannot. */
export async function canWaitForReplicas(redis: Redis): Promise<boolean> {
  try {
    await redis.wait(0, 1);
    return true;
  } catch (error) {
    if (isReplyError(error)) return false;
    throw error;
  }
}

/** Waits until replicas have what was written on this connection; answers how many have it, in time. */
export async function waitForReplicas(redis: Redis, replicas: number, timeoutMs: number): Promise<number> {
  return await redis.wait(replicas, timeoutMs);
}

/** Cancels an execution wherever it is. Asks the worker that runs it, and does not wait for that. */
export async function cancel(redis: Redis, keys: Keys, key: string): Promise<void> {
  await runScript(redis, 'cancel', [keys.work, keys.front, keys.schedule], [keys.prefix, key]);
}

/** Reads one execution; `null` when nothing is known of it. */
export async function readExecution(redis: Redis, keys: Keys, key: string): Promise<ExecutionRecord | null> {
  const reply = (await runScript(redis, 'read', [keys.work, keys.front, keys.run(key)], [])) as Buffer[];
  if (reply.length === 0) return null;
  const fields = new Map<string, Buffer>();
  for (let i = 0; i + 1 < reply.length; i += 2) fields.set(reply[i]!.toString(), reply[i + 1]!);
  const message = fields.get('m') ?? reply.at(-1)!;
  const number = (field: string) => (fields.has(field) ? Number(fields.get(field)) : null);
  const generation = number('g') ?? 0;
  return {
    state: fields.get('s')!.toString() as ExecutionState,
    generation,
    task: fields.get('t')?.toString() ?? '',
    dueMs: number('w') ?? Math.floor(generation / 1_000), // a generation is the server's microseconds
    attempt: number('a') ?? 1,
    worker: fields.get('k')?.toString() ?? null,
    startedMs: number('b'),
    completedMs: number('c'),
    result: fields.get('r') ?? null,
    error: fields.get('x') ?? null,
    errorLine: fields.get('y')?.toString() ?? null,
    progress: progressOf(fields),
    readUs: number('') ?? 0,
    waitingFor: fields.get('l')?.toString() ?? null,
    message: message.length > 0 ? message : null,
  };
}

/** How long a docket counts as listened to after its listeners' last sign of life. They renew six times as often. */
export const LISTENER_TTL_MS = 30_000;
export const LISTENER_RENEWAL_MS = 5_000;

/** Says that somebody waits for events of this docket. */
export async function markListening(redis: Redis, keys: Keys): Promise<void> {
  await redis.set(keys.listeners, '1', 'PX', LISTENER_TTL_MS);
}

/** Whether two placements differ in key and message only, so that they can share a group. */
function isAlike(a: Placement, b: Placement): boolean {
  return a.kind === b.kind && a.task === b.task && a.due === b.due;
}

function dueArgument(due: Due | null): string {
  if (due === null) return '';
  return 'delayMs' in due ? `+${due.delayMs}` : String(due.atMs);
}
