/** Reads the work of a docket and changes nothing. Answers about the whole docket are merged from all partitions. */
import { checkKey } from '../core/execution-key.js';
import type { FailureQuery } from '../redis/failure-store.js';
import { readHistory } from '../redis/history-store.js';
import type { CountOptions, ExecutionCounts } from '../tasks/counting.js';
import type { ExecutionDetails } from '../tasks/details.js';
import type { Execution } from '../tasks/execution.js';
import type { Failure, FailureFilter, FailureGroup, FailureGroupFilter } from '../tasks/failures.js';
import type { HistoryMinute, HistoryOptions, StatsOptions, TaskStats } from '../tasks/history.js';
import type { LimitInfo, LimitsOptions } from '../tasks/limit-info.js';
import type { ListedExecution, ListOptions, ListPage, ListPageOptions } from '../tasks/listing.js';
import type { Pause } from '../tasks/pause.js';
import type { Schedule, SchedulesOptions } from '../tasks/schedules.js';
import type { Snapshot, SnapshotOptions, WorkerInfo } from '../tasks/snapshot.js';
import type { StrikeInfo } from '../tasks/strike-info.js';
import { countExecutions } from './count.js';
import { ExecutionHandle } from './execution.js';
import { checkId, partsOf, queryOf } from './failures.js';
import { type HistoryQuery, HistorySums, historyQuery, StatsSums, statsQuery } from './history.js';
import { limitBounds, listLimits } from './limits.js';
import { list, listPage } from './list.js';
import {
  bestOf,
  mergedFailures,
  mergedGroups,
  mergedLimits,
  mergedPauses,
  mergedSchedules,
  mergedSnapshot,
  mergedStrikes,
  mergedWorkers,
} from './merging.js';
import type { Partition } from './partition.js';
import type { Partitions } from './partitions.js';
import { listPauses } from './pauses.js';
import { listSchedules, type SchedulesQuery, schedulesQuery } from './schedules.js';
import { showExecution } from './show.js';
import { listWorkers, snapshotLimit, takeSnapshot } from './snapshot.js';
import { strikeInfos } from './strikes.js';

export class Views {
  readonly #partitions: Partitions;
  readonly #checkOpen: () => void;

  /** `checkOpen` throws when the docket is closed. */
  constructor(partitions: Partitions, checkOpen: () => void) {
    this.#partitions = partitions;
    this.#checkOpen = checkOpen;
  }

  async getExecution(key: string): Promise<Execution<unknown> | null> {
    checkKey(key);
    const found = await this.#partitions.findRecord(key);
    if (found === null) return null;
    const { record, source } = found;
    const { task, dueMs, state, generation } = record;
    const init = { key, task, args: undefined, dueMs, state, disposition: 'scheduled', generation } as const;
    return new ExecutionHandle(source, init, record);
  }

  async show(key: string): Promise<ExecutionDetails | null> {
    checkKey(key);
    const found = await this.#partitions.search(
      (partition) => partition.run((redis, keys) => showExecution(redis, keys, key, partition.settings.errors)),
      (details) => details !== null,
    );
    return bestOf(found, ({ completedAt, placedAt }) => ({
      completedMs: completedAt?.getTime() ?? null,
      generation: placedAt?.getTime() ?? 0,
    }));
  }

  list(options: ListOptions): AsyncIterable<ListedExecution> {
    return list(() => this.#load(), options);
  }

  async listPage(options: ListPageOptions): Promise<ListPage> {
    return await listPage(() => this.#load(), options);
  }

  async count(options: CountOptions): Promise<ExecutionCounts> {
    return await countExecutions(() => this.#load(), options);
  }

  async limits(options: LimitsOptions): Promise<LimitInfo[]> {
    const bounds = limitBounds(options);
    const lists = await this.#partitions.everywhere((one) => one.run((redis, keys) => listLimits(redis, keys, bounds)));
    return mergedLimits(lists, bounds.limits);
  }

  async snapshot(options: SnapshotOptions): Promise<Snapshot> {
    const limit = snapshotLimit(options);
    const snapshots = await this.#partitions.everywhere((one) =>
      one.run((redis, keys) => takeSnapshot(redis, keys, limit)),
    );
    return mergedSnapshot(snapshots, limit);
  }

  async history(options: HistoryOptions): Promise<HistoryMinute[]> {
    const query = historyQuery(options);
    const sums = new HistorySums(query);
    await this.#readHistory(query, sums);
    return sums.list();
  }

  async stats(options: StatsOptions): Promise<TaskStats[]> {
    const query = statsQuery(options);
    const sums = new StatsSums(query);
    await this.#readHistory(query, sums);
    return sums.list();
  }

  async workers(): Promise<WorkerInfo[]> {
    return mergedWorkers(await this.#partitions.everywhere((one) => one.run(listWorkers)));
  }

  async strikes(): Promise<StrikeInfo[]> {
    return mergedStrikes(await this.#partitions.everywhere((one) => one.run(strikeInfos)));
  }

  async pauses(): Promise<Pause[]> {
    return mergedPauses(await this.#partitions.everywhere((one) => one.run(listPauses)));
  }

  schedules(options: SchedulesOptions): AsyncIterable<Schedule> {
    return this.#schedules(schedulesQuery(options));
  }

  failures(filter: FailureFilter): AsyncIterable<Failure> {
    const { query, limit } = queryOf(filter);
    const load = () => this.#load();
    return {
      async *[Symbol.asyncIterator]() {
        const partitions = await load();
        const lists = queriesFor(partitions, query).map((one, i) => partitions[i]!.failures.list(one, limit));
        yield* mergedFailures(lists, limit);
      },
    };
  }

  async failureGroups(filter: FailureGroupFilter): Promise<FailureGroup[]> {
    const { query } = queryOf(filter);
    return mergedGroups(await this.#partitions.everywhere(({ failures }) => failures.groups(query)));
  }

  async failure(id: string): Promise<Failure | null> {
    const { tag, entry } = partsOf(checkId(id));
    if (tag !== '') await this.#partitions.load();
    return (await this.#partitions.find(tag)?.failures.find(entry)) ?? null;
  }

  async *#schedules(query: SchedulesQuery): AsyncGenerator<Schedule, void> {
    const partitions = await this.#load();
    const lists = partitions.map((partition) =>
      listSchedules((commands) => {
        this.#checkOpen();
        return partition.run(commands);
      }, query),
    );
    yield* mergedSchedules(lists, query.limit);
  }

  async #load(): Promise<readonly Partition[]> {
    this.#checkOpen();
    return await this.#partitions.load();
  }

  async #readHistory(query: HistoryQuery, sums: HistorySums | StatsSums): Promise<void> {
    await this.#partitions.everywhere((one) => one.run((redis, keys) => sums.add(readHistory(redis, keys, query))));
  }
}

/**
 * Returns what is read of each partition. Failures of one millisecond are listed partition by partition, so the partitions
 * behind that of `beforeId` have theirs still to list.
 */
function queriesFor(partitions: readonly Partition[], query: FailureQuery): FailureQuery[] {
  const { beforeId, untilMs } = query;
  if (beforeId === null) return partitions.map(() => query);
  const { tag, entry } = partsOf(beforeId);
  const at = partitions.findIndex((one) => one.tag === tag);
  const beforeMs = Number.parseInt(entry, 10);
  return partitions.map((_, i) => {
    if (i === at) return { ...query, beforeId: entry };
    if (i < at) return { ...query, beforeId: `${beforeMs}-0` };
    return { ...query, beforeId: null, untilMs: untilMs === null ? beforeMs : Math.min(untilMs, beforeMs) };
  });
}
