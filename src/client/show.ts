/** `docket.show()`: tells the life of one execution from what Redis knows of it. */
import type { Redis } from 'ioredis';
import { UndecodableValueError } from '../core/errors.js';
import { type ExecutionState, isTerminal, type TerminalState } from '../core/states.js';
import type { Keys } from '../redis/keys.js';
import { type Known, type Permit, readKnown } from '../redis/show-store.js';
import type { ExecutionDetails, HeldPermit, HistoryItem, LimitWait } from '../tasks/details.js';
import { limitText } from '../tasks/limit-text.js';
import { decodeError, decodeValue } from '../wire/codec.js';
import { Envelope } from '../wire/envelope.js';
import { argumentNames } from '../wire/pick.js';
import type { ErrorClass } from './options.js';

/** Reads an execution; `null` when nothing is known of it. */
export async function showExecution(
  redis: Redis,
  keys: Keys,
  key: string,
  errors: readonly ErrorClass[],
): Promise<ExecutionDetails | null> {
  const known = await readKnown(redis, keys, key);
  return known && detailsOf(key, known, errors);
}

function detailsOf(key: string, known: Known, errors: readonly ErrorClass[]): ExecutionDetails {
  const { record, waits } = known;
  const envelope = envelopeOf(known);
  const place = placeOf(known);
  const state = record?.state ?? (place === 'schedule' ? 'scheduled' : place === 'worker' ? 'running' : 'queued');
  const args = envelope?.isReadable ? envelope.args : null;
  return {
    key,
    task: record?.task || envelope?.task || '',
    state,
    hasRecord: record !== null,
    place,
    priority: known.priority,
    readAt: new Date(known.nowMs),
    placedAt: dateOrNull(known.placedMs),
    when: dateOrNull(known.dueMs),
    scheduledFor: dateOrNull(known.scheduledMs),
    startedAt: dateOrNull(record?.startedMs),
    completedAt: dateOrNull(record?.completedMs),
    expiresAt: dateOrNull(known.expiresMs),
    attempt: record?.attempt ?? envelope?.attempt ?? 1,
    worker: known.reader ?? record?.worker ?? null,
    isCancelled: known.isCancelled && !isTerminal(state),
    deliveries: known.counts.deliveries,
    charges: known.counts.charges,
    reroutes: known.counts.reroutes,
    history: historyOf(known),
    failedAttempts: known.failedAttempts.map(({ startedMs, failedMs, ...rest }) => {
      return { ...rest, startedAt: dateOrNull(startedMs), failedAt: new Date(failedMs) };
    }),
    errorLine: record?.errorLine ?? null,
    progress: progressOf(known),
    holds: known.holds.map(permitInfo),
    waitsFor: waits && waitInfo(waits),
    argumentNames: args && namesOf(args),
    unknown: unknownOf(known, { state, hasArguments: args !== null }),
    args: () => (args ? decodeValue(args) : undefined),
    result: () => (record?.result ? decodeValue(record.result) : undefined),
    error: () => (record?.error ? decodeError(record.error, errors) : undefined),
  };
}

function placeOf({ record, entry, reader, scheduledMs, waits }: Known): ExecutionDetails['place'] {
  if (record && isTerminal(record.state)) return 'ended';
  if (entry) return reader === null ? 'backlog' : 'worker';
  if (scheduledMs !== null) return 'schedule';
  return waits?.kind === 'permit' && waits.ahead !== null ? 'line' : 'lost';
}

function historyOf({ record, placedMs, dueMs, failedAttempts }: Known): HistoryItem[] {
  const items: HistoryItem[] = [];
  const add = (atMs: number | null | undefined, kind: HistoryItem['kind'], more: Partial<HistoryItem> = {}) => {
    if (atMs != null) items.push({ at: new Date(atMs), kind, attempt: null, worker: null, detail: null, ...more });
  };
  add(placedMs, 'placed');
  for (const { attempt, startedMs, failedMs, worker, errorLine } of failedAttempts) {
    add(startedMs, 'started', { attempt, worker });
    add(failedMs, 'retried', { attempt, worker, detail: errorLine });
  }
  add(dueMs, 'due');
  if (record) {
    const { attempt, worker, state, errorLine: detail } = record;
    add(record.startedMs, 'started', { attempt, worker });
    if (isTerminal(state)) add(record.completedMs, state satisfies TerminalState, { attempt, detail });
  }
  return items.sort((a, b) => a.at.getTime() - b.at.getTime()); // keeps the order of those at one time
}

function unknownOf(
  { record, entry }: Known,
  { state, hasArguments }: { readonly state: ExecutionState; readonly hasArguments: boolean },
): string[] {
  const unknown: string[] = [];
  if (!hasArguments) {
    unknown.push(
      isTerminal(state)
        ? 'its arguments: workers keep them after the end only with keepArguments'
        : 'its arguments: its message was lost, or is of a newer version',
    );
  }
  if (record) return unknown;
  unknown.push(
    'its earlier attempts, progress, result and error: it has no key and executionTtl 0, so nothing is kept',
  );
  if (entry && state === 'running')
    unknown.push('whether it has begun, and when: it has no record, so that is not written');
  return unknown;
}

function progressOf({ record }: Known): ExecutionDetails['progress'] {
  if (!record || record.progress.updatedMs === null) return null;
  const { current, total, message, updatedMs } = record.progress;
  return { current, total, message, updatedAt: new Date(updatedMs) };
}

function waitInfo({ limit, kind, ahead, needs }: NonNullable<Known['waits']>): LimitWait {
  return { name: limit, description: limitText(limit), kind, ahead, needs: needs.map(permitInfo) };
}

function permitInfo({ limit, max }: Permit): HeldPermit {
  return { name: limit, description: limitText(limit), max };
}

function envelopeOf({ message }: Known): Envelope | null {
  if (!message) return null;
  return unlessUndecodable(() => new Envelope(message));
}

function namesOf(args: Uint8Array): readonly string[] | null {
  return unlessUndecodable(() => argumentNames(args));
}

function unlessUndecodable<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch (error) {
    if (error instanceof UndecodableValueError) return null;
    throw error;
  }
}

function dateOrNull(ms: number | null | undefined): Date | null {
  return ms == null ? null : new Date(ms);
}
