/**
 * Claims, settles, renews and redelivers deliveries, with one script or one command per batch. All of it rests on the
 * rule that owning a stream entry is owning the delivery; see `scripts/README.md`.
 */

import type { Redis } from 'ioredis';
import { assertNever } from '../core/assert.js';
import { batchesOf } from '../core/batcher.js';
import type { Due } from '../core/due.js';
import type { Priority } from '../core/priority.js';
import type { TerminalState } from '../core/states.js';
import { PLAIN_VERSION } from '../wire/envelope.js';
import { dueArgument } from './due-argument.js';
import { failedLineOf } from './failed-attempts.js';
import type { FailureBounds } from './failure-store.js';
import { type Keys, streamNamed } from './keys.js';
import { lineOf } from './pause-store.js';
import { priorityArgument } from './priority-argument.js';
import { doesGroupExist } from './reply-errors.js';
import {
  type AdmissionStage,
  BATCH_ITEMS,
  DELIVERY_COUNT,
  GROUP,
  type SETTLEMENT_WIDTH,
  STAGE,
  STREAM,
  STREAM_NAMES,
  type StreamLetter,
} from './schema.js';
import { runScript, type ScriptArgument } from './script.js';

/** The letter of a stream, followed by the id of an entry on it. */
export type Token = `${StreamLetter}${string}`;

/** Where an execution goes on: at the end of a stream (that of its priority, in place of these), on the schedule, or in the line of its task while that is paused. */
export type Destination = { readonly stream: 'work' | 'front' } | Due | PausedLine;

/** The line of a paused task. If the pause is over, the execution goes to the stream `front` instead. */
export interface PausedLine {
  readonly lineOf: string;
  /** Where it stands in line if it has no record. An execution with a record stands in line by its generation. */
  readonly ticket: number;
}

export type Settlement =
  /** An execution without a record that held permits ended. One that held none is acknowledged, not settled. */
  | { readonly kind: 'unrecorded'; readonly token: Token; readonly failure?: FailureReport | null }
  | {
      readonly kind: 'ended';
      readonly token: Token;
      /** Key of the record. */
      readonly record: string;
      readonly ttlMs: number;
      readonly state: TerminalState;
      readonly result: Buffer | null;
      readonly error: Buffer | null;
      readonly errorLine: string;
      /** Name of the automatic task whose chain ends with this run; '' when none does. */
      readonly endsChainOf: string;
      /** Whether it may have been a run of a chain, so that the chain ends with it. @default false */
      readonly endsChain?: boolean;
      /** The message, if its arguments are kept as long as the record. */
      readonly message: Buffer | null;
      /** It failed, and is kept as a failure. @default null */
      readonly failure?: FailureReport | null;
    }
  | {
      readonly kind: 'moved';
      readonly token: Token;
      readonly to: Destination;
      /** The message of the next attempt; `null` leaves it as it is. */
      readonly message: Buffer | null;
      /** Whether it keeps its due time. If not, it is due when `to` says. */
      readonly keepsDue: boolean;
      /** Deliveries that ended without an outcome so far. */
      readonly deliveries: number;
      /** How many of them the execution is charged with. */
      readonly charges: number;
      /** How often it was rerouted. */
      readonly reroutes: number;
      /** How far it has got through the limits of its task; `null` leaves that as it is. */
      readonly admissionStage: AdmissionStage | null;
      /** Its booking at a rate limit from now on; `null` for none. @default the one it has */
      readonly booking?: string | null;
      /** Id of an execution without a record. */
      readonly id: string;
      /** TTL of the record, should the execution turn out to be cancelled. */
      readonly ttlMs: number;
      /** Name of its task, when it waits on the schedule because no live worker has it: a worker that does can recall it. */
      readonly recalledFor?: string | null;
      /** The error of the attempt that failed, as a line of text, when the execution goes on to another attempt. */
      readonly failedWith?: string | null;
    }
  | {
      /** This run of a perpetual task ended, and another one follows under its key. */
      readonly kind: 'followed';
      readonly token: Token;
      /** Key of the record; `null` when there is none. */
      readonly record: string | null;
      readonly state: TerminalState;
      /** When the next run is due; the past means now. */
      readonly due: Due;
      readonly message: Buffer;
      readonly id: string;
      readonly ttlMs: number;
      /** Its error, or the reason why it ended without one, as a line of text; '' for none. */
      readonly errorLine: string;
      /** What the record says about the chain, see `RECORD.chain`. */
      readonly chain: string;
      /** This run failed, and is kept as a failure. @default null */
      readonly failure?: FailureReport | null;
      /** Its priority, which the next run has, too. @default normal */
      readonly priority?: Priority | undefined;
    };

/** What a worker knows about an execution that failed for good, to keep it as a failure. The rest is in its entry. */
export interface FailureReport {
  /** '' when something else than an error was thrown. */
  readonly errorName: string;
  readonly errorLine: string;
  readonly error: Buffer;
  /** Name of the worker. */
  readonly worker: string;
  /** Node's id of the thread that reported it; `null` when none did. */
  readonly thread: number | null;
  /** When its last attempt started, in server milliseconds; `null` when that is not known here. */
  readonly startedMs: number | null;
}

export interface Claim {
  readonly key: string;
  readonly token: Token;
  readonly attempt: number;
}

/** Creates the consumer group on all streams where it is missing. It begins at the start, so it misses no entry. */
export async function ensureGroups(redis: Redis, keys: Keys): Promise<void> {
  const create = async (stream: string) => {
    // Looked up first: a full server refuses to create a group even when it exists.
    const groups = (await redis.xinfo('GROUPS', stream).catch(() => [])) as unknown[][];
    if (groups.some((group) => group.includes(GROUP))) return;
    await redis.xgroup('CREATE', stream, GROUP, '0', 'MKSTREAM').catch((error: Error) => {
      if (!doesGroupExist(error)) throw error;
    });
  };
  await Promise.all(STREAM_NAMES.map((name) => create(keys[name])));
}

export interface Claimed {
  /** Indexes of the claims that are not ours to run. */
  readonly refused: readonly number[];
  /** The server's errors about records that cannot be used. Their entries are in quarantine, and their claims refused. */
  readonly errors: readonly string[];
}

/** Takes ownership of deliveries that have a record. */
export async function claim(redis: Redis, keys: Keys, worker: string, claims: readonly Claim[]): Promise<Claimed> {
  const tokens = claims.map(({ token }) => token).join(' ');
  const attempts = claims.some(({ attempt }) => attempt > 1) ? claims.map(({ attempt }) => attempt).join(' ') : '';
  const args = [keys.prefix, worker, tokens, attempts, ...claims.map(({ key }) => key)];
  const [refused, errors] = (await runScript(redis, 'claim', [keys.work, keys.front], args)) as [number[], Buffer[]];
  return { refused, errors: errors.map(String) };
}

/** What a worker says of itself when it claims what it reads. */
export interface ReadClaimant {
  readonly consumer: string;
  readonly worker: string;
  /** The id from which entries of the stream `work` may be claimed. */
  readonly from: string;
  /** Names of the tasks that need nothing but a claim. */
  readonly tasks: readonly string[];
}

/**
 * Takes ownership of the usual executions among those that a read has brought, which was sent just before on the same
 * connection. Returns their tokens, and the server's time in milliseconds.
 */
export async function claimRead(
  blocking: Redis,
  keys: Keys,
  { consumer, worker, from, tasks }: ReadClaimant,
): Promise<{ readonly tokens: readonly Token[]; readonly atMs: number }> {
  const args = [keys.prefix, consumer, worker, from, PLAIN_VERSION, ...tasks];
  const reply = (await runScript(blocking, 'claim-read', [keys.work], args)) as Buffer[];
  const [atMs, ...tokens] = reply.map(String);
  return { tokens: tokens as Token[], atMs: Number(atMs) };
}

/**
 * Acknowledges executions that have ended and keep nothing, by removing their entries. Returns the tokens that were no
 * longer ours.
 */
export async function acknowledge(redis: Redis, keys: Keys, tokens: readonly Token[]): Promise<Token[]> {
  const fenced = STREAM_NAMES.map(async (stream) => {
    const onStream = tokens.filter((token) => token[0] === STREAM[stream]);
    if (onStream.length === 0) return [];
    const ids = onStream.map((token) => token.slice(1)).join(' ');
    return ((await runScript(redis, 'acknowledge', [keys[stream]], [ids])) as number[]).map(
      (index) => onStream[index]!,
    );
  });
  return (await Promise.all(fenced)).flat();
}

export interface Settled {
  /** Settlements that were not written because the delivery, or the key, had passed on. */
  readonly fenced: readonly Settlement[];
  /** The server's errors about records it could not write. Their entries are gone. */
  readonly errors: readonly string[];
}

/** Writes settlements. `bounds` say how many failures are kept; with `null` none is. */
export async function settle(
  redis: Redis,
  keys: Keys,
  settlements: readonly Settlement[],
  bounds: FailureBounds | null = null,
): Promise<Settled> {
  const groups = new Map<string, { head: ScriptArgument[]; items: Settlement[]; args: ScriptArgument[] }>();
  let [requeuedTtl, turns] = [0, 0]; // what is requeued keeps its order: another TTL begins another group
  for (const settlement of settlements) {
    const [kind, ttl, ...args] = argumentsOf(settlement);
    if (isRequeue(settlement) && settlement.ttlMs !== requeuedTtl) {
      requeuedTtl = settlement.ttlMs;
      turns += 1;
    }
    const name = isRequeue(settlement) ? `${kind} ${ttl} ${turns}` : `${kind} ${ttl}`;
    const group = groups.get(name) ?? { head: [kind, ttl], items: [], args: [] };
    groups.set(name, group);
    group.items.push(settlement);
    group.args.push(...args);
  }
  const ordered = [...groups.values()].flatMap((group) => group.items);
  const args: ScriptArgument[] = [keys.prefix, ordered.map(({ token }) => token).join(' ')];
  for (const group of groups.values()) args.push(...group.head, group.items.length, ...group.args);
  if (bounds) args.push(...failureArguments(ordered, bounds));
  const reply = await runScript(redis, 'settle', [keys.work, keys.front, keys.schedule], args);
  const [fenced, errors] = reply as [number[], Buffer[]];
  return { fenced: fenced.map((index) => ordered[index]!), errors: errors.map(String) };
}

/** Whether the execution goes to the head of all work, in the order in which it was given back. */
function isRequeue(settlement: Settlement): settlement is Extract<Settlement, { kind: 'moved' }> {
  return settlement.kind === 'moved' && 'stream' in settlement.to && settlement.to.stream === 'front';
}

/**
 * Extends the leases of entries. Returns the lost ones. Without FORCE, XCLAIM touches only entries that are
 * still pending, and a pending entry belongs to its reader: redelivery adds a new one.
 */
export async function renew(redis: Redis, keys: Keys, consumer: string, tokens: readonly Token[]): Promise<Token[]> {
  const renewed = new Set<Token>();
  const batches = STREAM_NAMES.flatMap((stream) => {
    const letter = STREAM[stream];
    const ids = tokens.filter((token) => token[0] === letter).map((token) => token.slice(1));
    return [...batchesOf(ids, { maxItems: BATCH_ITEMS })].map(async (batch) => {
      const claimed = (await redis.xclaim(keys[stream], GROUP, consumer, 0, ...batch, 'JUSTID')) as string[];
      for (const id of claimed) renewed.add(`${letter}${id}`);
    });
  });
  await Promise.all(batches);
  return tokens.filter((token) => !renewed.has(token));
}

/**
 * Marks a delivery of this worker as alone in its process, for the sweep that meets it if the process dies, or removes the
 * mark. Returns false when the delivery is no longer this worker's. Marking twice does no harm.
 */
export async function markAlone(
  redis: Redis,
  keys: Keys,
  { consumer, token, isAlone }: { readonly consumer: string; readonly token: Token; readonly isAlone: boolean },
): Promise<boolean> {
  const stream = keys[streamNamed(token[0])!];
  const count = isAlone ? DELIVERY_COUNT.alone : DELIVERY_COUNT.read;
  const id = token.slice(1);
  const claimed = await redis.xclaim(stream, GROUP, consumer, 0, id, 'RETRYCOUNT', count, 'JUSTID');
  return claimed.length > 0;
}

/** Redelivers entries whose lease ran out. Returns the number redelivered. */
export async function redeliver(redis: Redis, keys: Keys, leaseMs: number, tokens: readonly Token[]): Promise<number> {
  const reply = await runScript(redis, 'redeliver', [keys.work, keys.front], [keys.prefix, leaseMs, ...tokens]);
  return (reply as Buffer[]).length;
}

export interface Quarantined {
  readonly token: Token;
  /** Key of the record; `null` when there is none. */
  readonly record: string | null;
  readonly reason: string;
}

/** Takes a message that can never run from its stream and keeps it, with the reason, for an operator. */
export async function quarantine(redis: Redis, keys: Keys, { token, record, reason }: Quarantined): Promise<void> {
  await runScript(redis, 'quarantine', [keys.work, keys.front], [keys.prefix, token, record ?? '', reason]);
}

/** Characters of the error line that the next run of a chain keeps. */
const MAXIMUM_LINE = 500;

/** Returns the group that says which settlements are failures; nothing when none is. */
function failureArguments(
  settlements: readonly Settlement[],
  { ttlMs, maxCount, maxBytes }: FailureBounds,
): ScriptArgument[] {
  const args: ScriptArgument[] = [];
  let count = 0;
  for (const [index, settlement] of settlements.entries()) {
    const failure = settlement.kind === 'moved' ? null : settlement.failure;
    if (!failure) continue;
    const { errorName, errorLine, error, worker, thread, startedMs } = failure;
    args.push(
      index,
      errorName,
      errorLine,
      error,
      worker,
      thread ?? '',
      startedMs === null ? '' : Math.floor(startedMs),
    );
    count += 1;
  }
  return count === 0
    ? []
    : ['failures' satisfies keyof typeof SETTLEMENT_WIDTH, `${ttlMs} ${maxCount} ${maxBytes}`, count, ...args];
}

function destinationArgument(to: Destination): string {
  if ('lineOf' in to) return lineOf(to.lineOf);
  return 'stream' in to ? STREAM[to.stream] : dueArgument(to);
}

/** Returns kind and TTL of the group in which a settlement travels, then its arguments, as many as the kind is wide. */
function argumentsOf(
  settlement: Settlement,
): [kind: keyof typeof SETTLEMENT_WIDTH, ttl: ScriptArgument, ...ScriptArgument[]] {
  switch (settlement.kind) {
    case 'unrecorded':
      return ['unrecorded', ''];
    case 'ended': {
      const { ttlMs, record, state, result, error, errorLine, endsChainOf, endsChain, message } = settlement;
      if (state !== 'completed' || endsChain || message) {
        const kind = endsChain ? 'chainEnded' : 'ended';
        return [kind, ttlMs, record, state, result ?? '', error ?? '', errorLine, endsChainOf, message ?? ''];
      }
      return result ? ['completedWithResult', ttlMs, record, result] : ['completed', ttlMs, record];
    }
    case 'moved': {
      const { ttlMs, to, message, keepsDue, deliveries, charges, reroutes, admissionStage, id } = settlement;
      const stage = admissionStage === null ? '' : STAGE[admissionStage];
      const booking = settlement.booking === undefined ? '' : (settlement.booking ?? '-');
      const counts = [deliveries || '', charges || '', reroutes || ''];
      const move = [destinationArgument(to), message ?? '', keepsDue ? 1 : '', ...counts, stage, id, booking];
      if ('lineOf' in to) return ['paused', ttlMs, ...move, to.ticket];
      if (settlement.failedWith != null) return ['retried', ttlMs, ...move, failedLineOf(settlement.failedWith)];
      return settlement.recalledFor ? ['rerouted', ttlMs, ...move, settlement.recalledFor] : ['moved', ttlMs, ...move];
    }
    case 'followed': {
      const { ttlMs, record, state, due, message, id, errorLine, chain, priority } = settlement;
      const line = errorLine.slice(0, MAXIMUM_LINE);
      return [
        'followed',
        ttlMs,
        record ?? '',
        state,
        dueArgument(due),
        message,
        id,
        line,
        chain,
        priorityArgument(priority),
      ];
    }
    default:
      return assertNever(settlement);
  }
}
