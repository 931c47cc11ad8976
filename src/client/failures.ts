/**
 * The failures of one partition for a producer: lists them page by page, retries and discards them in bounded batches.
 *
 * Owns the ids that users see: the id of the entry, followed by `@` and the tag of the partition unless it is
 * partition 0. It also owns the order of a retry by filter: all ids are listed first, so that an execution that fails
 * again is not retried again, and the oldest is retried first.
 */
import { InvalidOptionError, UndecodableValueError } from '../core/errors.js';
import { checkOptionNames, optionNames, shown, wholeNumberOf } from '../core/options.js';
import {
  argumentsOf,
  discardFailures,
  type FailurePage,
  type FailureQuery,
  firstPage,
  groupFailures,
  listFailureIds,
  listFailures,
  readFailures,
  retryFailures,
  type StoredFailure,
  type StoredFailureGroup,
} from '../redis/failure-store.js';
import { BATCH_ITEMS, RETRY } from '../redis/schema.js';
import type { StrikeSnapshot } from '../redis/strike-store.js';
import type { Failure, FailureFilter, FailureGroup, RetryReport } from '../tasks/failures.js';
import { isTask } from '../tasks/task.js';
import { decodeError, decodeValue } from '../wire/codec.js';
import type { ProducerConnection } from './connection.js';
import type { ErrorClass, ProducerSettings } from './options.js';
import { StrikeFilter, StruckCall } from './strike-filter.js';
import { taskNameOf } from './task-name.js';

/** One id, many, or a filter. */
export type FailureSelection = string | readonly string[] | FailureFilter;

/** How many failures are listed with one script. */
const PAGE = 100;

export interface FailuresOptions {
  readonly tag: string;
  readonly settings: ProducerSettings;
  readonly connection: ProducerConnection;
  readonly loadStrikes: () => Promise<StrikeSnapshot>;
}

export class Failures {
  /** What the ids of this partition end with. */
  readonly #suffix: string;
  readonly #settings: ProducerSettings;
  readonly #connection: ProducerConnection;
  readonly #strikes: StrikeFilter;

  constructor({ tag, settings, connection, loadStrikes }: FailuresOptions) {
    this.#suffix = tag === '' ? '' : `@${tag}`;
    this.#settings = settings;
    this.#connection = connection;
    this.#strikes = new StrikeFilter(loadStrikes);
  }

  /** Lists failures, the newest first. Failures that are added during the listing are left out. */
  async *list(query: FailureQuery, limit: number): AsyncGenerator<Failure, void, void> {
    const { keys } = this.#settings;
    let from: string | null = firstPage(query);
    for (let left = limit; from !== null && left > 0; ) {
      const page: FailurePage<StoredFailure> = await this.#connection.run((redis) =>
        listFailures(redis, keys, query, { from: from!, wanted: Math.min(PAGE, left) }),
      );
      for (const stored of page.found) yield this.#failureOf(stored);
      left -= page.found.length;
      from = page.next;
    }
  }

  /** Counts failures by task and error name: the largest group first. */
  async groups(query: FailureQuery): Promise<FailureGroup[]> {
    const { keys } = this.#settings;
    const groups = new Map<string, StoredFailureGroup>();
    for (let from: string | null = firstPage(query); from !== null; ) {
      const begin = from;
      const page: FailurePage<StoredFailureGroup> = await this.#connection.run((redis) =>
        groupFailures(redis, keys, query, begin),
      );
      for (const group of page.found) {
        const name = JSON.stringify([group.task, group.errorName]);
        const known = groups.get(name);
        groups.set(name, known ? { ...known, count: known.count + group.count } : group);
      }
      from = page.next;
    }
    const largestFirst = [...groups.values()].sort((a, b) => b.count - a.count);
    return largestFirst.map(({ newestId, ...group }) => {
      return { ...group, newestAt: new Date(Number.parseInt(newestId, 10)) };
    });
  }

  async find(id: string): Promise<Failure | null> {
    const { keys } = this.#settings;
    const [stored] = await this.#connection.run((redis) => readFailures(redis, keys, [id]));
    return stored ? this.#failureOf(stored) : null;
  }

  /** Adds the executions again, and removes their failures. */
  async retry(ids: readonly string[]): Promise<RetryReport> {
    const { keys } = this.#settings;
    const report = { retried: [], taken: [], struck: [], unusable: [], missing: [] } satisfies RetryReport;
    for (let at = 0; at < ids.length; ) {
      const page = ids.slice(at, at + BATCH_ITEMS);
      const read = await this.#connection.run((redis) => readFailures(redis, keys, page));
      at += read.length;
      for (const [i, failure] of read.entries()) if (!failure) addTo(report.missing, page[i]! + this.#suffix);
      await this.#retryRead(
        read.filter((failure) => failure !== null),
        report,
      );
    }
    return report;
  }

  /** Retries failures that were read together. A script may stop before the last one; the next script continues there. */
  async #retryRead(failures: readonly StoredFailure[], report: RetryReport): Promise<void> {
    for (let left = failures; left.length > 0; ) {
      const outcomes = await this.#strikes.place(left.map(retryOf), async (calls, version) => {
        const ids = calls.map(({ failure }) => failure.id);
        const { keys } = this.#settings;
        const statuses = await this.#connection.run((redis) => retryFailures(redis, keys, ids, version));
        return statuses && ids.map((_, i) => statuses[i] ?? null);
      });
      for (const [i, outcome] of outcomes.entries())
        if (outcome !== null) addOutcome(report, this.#named(left[i]!), outcome);
      left = left.filter((_, i) => outcomes[i] === null);
    }
  }

  /** Removes failures. Returns how many there were. */
  async discard(ids: readonly string[]): Promise<number> {
    return await this.#connection.run((redis) => discardFailures(redis, this.#settings.keys, ids));
  }

  /** Returns the ids of the newest failures that match, the newest first. */
  async idsWith(query: FailureQuery, limit: number): Promise<readonly string[]> {
    const { keys } = this.#settings;
    const ids: string[] = [];
    for (let from: string | null = firstPage(query); from !== null && ids.length < limit; ) {
      const begin = from;
      const page: FailurePage<string> = await this.#connection.run((redis) =>
        listFailureIds(redis, keys, query, begin),
      );
      for (const id of page.found) ids.push(id);
      from = page.next;
    }
    return ids.slice(0, limit);
  }

  #failureOf(stored: StoredFailure): Failure {
    return failureOf(this.#named(stored), this.#settings.errors);
  }

  /** Gives a failure the id that users see. */
  #named(stored: StoredFailure): StoredFailure {
    return this.#suffix === '' ? stored : { ...stored, id: stored.id + this.#suffix };
  }
}

/** Makes a call of a failure, for the comparison with strikes. */
function retryOf(failure: StoredFailure) {
  return {
    failure,
    task: failure.task ?? '',
    /** No strike of an argument matches arguments that cannot be read. The attempt fails then. */
    get args(): object {
      const args = argumentsOrNull(failure);
      return typeof args === 'object' && args !== null ? args : {};
    },
  };
}

function argumentsOrNull(failure: StoredFailure): unknown {
  try {
    return decodeValue(argumentsOf(failure));
  } catch (error) {
    if (error instanceof UndecodableValueError) return null;
    throw error;
  }
}

function addOutcome(report: RetryReport, { id, key }: StoredFailure, outcome: string | StruckCall): void {
  if (outcome instanceof StruckCall) addTo(report.struck, { id, key, reason: outcome.reason });
  else if (outcome === RETRY.retried) addTo(report.retried, { id, key });
  else if (outcome === RETRY.taken) addTo(report.taken, { id, key });
  else if (outcome === RETRY.missing) addTo(report.missing, id);
  else addTo(report.unusable, { id, key, reason: outcome });
}

function addTo<T>(list: readonly T[], item: T): void {
  (list as T[]).push(item);
}

const FILTER_OPTIONS = optionNames<FailureFilter>({
  task: true,
  errorName: true,
  since: true,
  until: true,
  before: true,
  limit: true,
});

/**
 * Checks a filter.
 * @throws InvalidOptionError naming the part that cannot be used
 */
export function queryOf(filter: FailureFilter): { readonly query: FailureQuery; readonly limit: number } {
  checkOptionNames(filter, FILTER_OPTIONS, 'failures.');
  const { task, errorName, since, until, before, limit } = filter;
  const name = task === undefined ? null : taskNameOf(task);
  if (task !== undefined && !isTask(task)) checkText(name, 'task');
  if (errorName !== undefined) checkText(errorName, 'errorName');
  return {
    query: {
      task: name,
      errorName: errorName ?? null,
      sinceMs: timeOf(since, 'since'),
      untilMs: timeOf(until, 'until'),
      beforeId: before === undefined ? null : checkId(before),
    },
    limit: limit === undefined ? Number.POSITIVE_INFINITY : wholeNumberOf(limit, 0, 'failures.limit'),
  };
}

function checkText(value: unknown, option: string): void {
  if (typeof value === 'string' && value !== '') return;
  throw new InvalidOptionError(`failures.${option}`, `expected a name, got ${shown(value)}`);
}

function timeOf(date: Date | undefined, option: string): number | null {
  if (date === undefined) return null;
  if (date instanceof Date && date.getTime() >= 0) return date.getTime();
  throw new InvalidOptionError(`failures.${option}`, `expected a Date, got ${shown(date)}`);
}

const ID = /^\d{1,18}-\d{1,18}(@[A-Za-z0-9.]{1,32})?$/;

/** @throws InvalidOptionError when it is not the id of a failure */
export function checkId(id: unknown): string {
  if (typeof id === 'string' && ID.test(id)) return id;
  const got = typeof id === 'string' ? `'${id.slice(0, 100)}'` : typeof id;
  throw new InvalidOptionError('id', `expected the id of a failure, such as '1767225600000-0', got ${got}`);
}

/** Takes an id that was checked apart: the tag of the partition, and the id of the entry there. */
export function partsOf(id: string): { readonly tag: string; readonly entry: string } {
  const [entry, tag = ''] = id.split('@') as [string, string?];
  return { tag, entry };
}

function failureOf(stored: StoredFailure, classes: readonly ErrorClass[]): Failure {
  const { id, key, task, kind, errorName, line, attempts, deliveries, worker, thread, priority } = stored;
  const [addedAt, startedAt] = [stored.addedMs, stored.startedMs].map((ms) => (ms === null ? null : new Date(ms)));
  const shared = { id, key, task, kind, errorName, errorLine: line, reason: kind === 'quarantined' ? line : null };
  const counts = { attempts, deliveries, worker, thread, priority };
  const times = { addedAt: addedAt ?? null, startedAt: startedAt ?? null, failedAt: new Date(stored.failedMs) };
  const parts = { ...shared, ...counts, ...times };
  return {
    ...parts,
    error: stored.error && errorOf(stored.error, classes),
    args: () => decodeValue(argumentsOf(stored)),
    toJSON: () => parts,
  };
}

/** Returns the error, or the one that says why it cannot be read: one failure must not end the list. */
function errorOf(bytes: Buffer, classes: readonly ErrorClass[]): unknown {
  try {
    return decodeError(bytes, classes);
  } catch (error) {
    return error;
  }
}
