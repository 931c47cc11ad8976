/** Changes the work of a docket in all ways but adding: cancels, strikes, pauses, clearing, failures that run again. */
import { ExecutionSupersededError, RedisUnavailableError } from '../core/errors.js';
import { checkKey } from '../core/execution-key.js';
import { countText } from '../core/text.js';
import { runNow } from '../redis/chain-index.js';
import { clear } from '../redis/clear-store.js';
import type { Criteria } from '../redis/listing-store.js';
import { removePauses } from '../redis/pause-store.js';
import type { Cancelled, CancelTarget } from '../redis/producer-store.js';
import type { ProgressRecord } from '../redis/record.js';
import { addStrike, removeStrike } from '../redis/strike-store.js';
import type { CancelFilter, CancelReport, CancelResult } from '../tasks/cancelling.js';
import type { FailureFilter, RetryReport } from '../tasks/failures.js';
import type { PauseOptions, ResumeOptions } from '../tasks/pause.js';
import type { ProgressChange } from '../tasks/progress.js';
import type { AnyTask } from '../tasks/task.js';
import type { Strike } from '../wire/strikes.js';
import type { CallSpans } from './call-spans.js';
import { cancelCriteria, cancelMatching, cancelResult } from './cancel-many.js';
import { checkId, type FailureSelection, partsOf, queryOf } from './failures.js';
import type { OwnExecution } from './internals.js';
import { sumOfCancels, sumOfRetries } from './merging.js';
import { cancelIn, clearMovingFrom } from './moves.js';
import type { Partition } from './partition.js';
import type { Partitions } from './partitions.js';
import { pause, pauseTermsOf, resumeTermsOf } from './pauses.js';

/** The outcomes of a cancel. One that says more comes first. */
const OUTCOMES: readonly Cancelled['outcome'][] = ['removed', 'stopping', 'ended', 'unknown'];

export class Control {
  readonly #partitions: Partitions;
  readonly #spans: CallSpans;

  readonly #at = (tag: string): Partition => this.#partitions.at(tag);

  constructor(partitions: Partitions, spans: CallSpans) {
    this.#partitions = partitions;
    this.#spans = spans;
  }

  async cancel(key: string): Promise<CancelResult> {
    checkKey(key);
    const cancelled = await this.#spans.run('cancel', 'client', { key }, () => this.#cancelAnywhere(key));
    return cancelResult(cancelled);
  }

  /**
   * Cancels an execution in whichever partition it is. If none of them knows the key, all of them remember it: each for as many
   * keys as the docket has entries, since it is told of the keys of the others, too. Then they look once more, since a worker may
   * have moved the execution from a partition that was asked later to one that was asked before.
   */
  async #cancelAnywhere(key: string): Promise<Cancelled> {
    const wasAlone = this.#partitions.known.length === 1;
    const first = await this.#cancelEverywhere({ key, isRemembered: wasAlone }).catch((error: unknown) => {
      if (wasAlone || !(error instanceof RedisUnavailableError)) throw error;
      return []; // those that can be reached remember it
    });
    if (first.some(isKnown) || first.length === 1) return mostTelling(first);
    const docketEntries = first.reduce((sum, { entries }) => sum + entries, 0);
    return mostTelling(await this.#cancelEverywhere({ key, docketEntries }));
  }

  async #cancelEverywhere(target: CancelTarget): Promise<Cancelled[]> {
    const cancelled = await this.#partitions.search(
      (partition) => cancelIn(this.#at, partition, target),
      (one) => one !== null && isKnown(one),
    );
    return cancelled.map((one) => one!); // without a token, each partition says something
  }

  /** @throws ExecutionSupersededError when the key belongs to another delivery */
  async cancelOwn({ key, token, partition }: OwnExecution): Promise<CancelResult> {
    const cancelled = await this.#spans.run('cancel', 'client', { key }, () =>
      cancelIn(this.#at, this.#at(partition), { key, token }),
    );
    if (!cancelled) throw new ExecutionSupersededError(key);
    return cancelResult(cancelled);
  }

  /**
   * Changes the progress of the execution that runs under this key and token.
   * @throws ExecutionNotFoundError when there is no execution under the key
   * @throws ExecutionSupersededError when the key, or the execution, has passed to another delivery
   */
  async changeOwnProgress({ key, token, partition }: OwnExecution, change: ProgressChange): Promise<ProgressRecord> {
    return await this.#partitions.at(partition).source.changeProgress(key, { token }, change);
  }

  async cancelMany(filter: CancelFilter): Promise<CancelReport> {
    const criteria = cancelCriteria(filter);
    const { task } = criteria;
    return await this.#spans.run('cancelMany', 'client', { task: task || null }, async () => {
      if (filter.limit !== undefined) return await this.#cancelSome(criteria, filter, filter.limit);
      return sumOfCancels(await this.#partitions.everywhere((one) => cancelMatching(this.#at, one, criteria, filter)));
    });
  }

  /** Cancels so many, in one partition after the other. */
  async #cancelSome(criteria: Criteria, { signal }: CancelFilter, limit: number): Promise<CancelReport> {
    let sum: CancelReport = { removed: 0, stopping: 0, missed: 0 };
    for (const partition of await this.#partitions.load()) {
      const left = limit - sum.removed - sum.stopping - sum.missed;
      if (left <= 0) break;
      const report = await cancelMatching(this.#at, partition, criteria, { limit: left, ...(signal && { signal }) });
      sum = sumOfCancels([sum, report]);
    }
    return sum;
  }

  async strike(task: AnyTask | string | null, strike: Strike): Promise<void> {
    await this.#spans.run('strike', 'client', { task }, () =>
      this.#partitions.writeEverywhere((one) => one.run((redis, keys) => addStrike(redis, keys, strike))),
    );
  }

  async restore(task: AnyTask | string | null, strike: Strike): Promise<boolean> {
    const removed = await this.#spans.run('restore', 'client', { task }, () =>
      this.#partitions.writeEverywhere((one) => one.run((redis, keys) => removeStrike(redis, keys, strike))),
    );
    return removed.some((wasThere) => wasThere);
  }

  async pause(task: AnyTask | string | null, options: PauseOptions): Promise<void> {
    const terms = pauseTermsOf(task, options);
    await this.#spans.run('pause', 'client', { task }, () =>
      this.#partitions.writeEverywhere((one) => one.run((redis, keys) => pause(redis, keys, terms))),
    );
  }

  async resume(task: AnyTask | string | null, options: ResumeOptions): Promise<boolean> {
    const { task: name, reason } = resumeTermsOf(task, options);
    const removed = await this.#spans.run('resume', 'client', { task }, () =>
      this.#partitions.writeEverywhere((one) => one.run((redis, keys) => removePauses(redis, keys, name, reason))),
    );
    return removed.some((count) => count > 0);
  }

  async clear(): Promise<number> {
    const results = await this.#partitions.everywhere((one) =>
      one
        .run((redis, keys) => clear(redis, keys, (key, move) => clearMovingFrom(this.#at, one, key, move)))
        .then(
          (count) => ({ count, error: null }),
          (error: unknown) => {
            if (!(error instanceof RedisUnavailableError)) throw error;
            return { count: 0, error };
          },
        ),
    );
    const removed = results.reduce((sum, { count }) => sum + count, 0);
    const failed = results.find(({ error }) => error !== null);
    if (failed) throw partlyCleared(failed.error!, { removed, isAlone: results.length === 1 });
    return removed;
  }

  async runNow(key: string): Promise<boolean> {
    checkKey(key);
    const run = await this.#partitions.search(
      (partition) => partition.run((redis, keys) => runNow(redis, keys, key)),
      (wasScheduled) => wasScheduled,
    );
    return run.some((wasScheduled) => wasScheduled);
  }

  async retry(which: FailureSelection): Promise<RetryReport> {
    return await this.#spans.run('retry', 'client', {}, async () => {
      const reports: RetryReport[] = [];
      for (const { partition, ids, entries } of await this.#failuresOf(which)) {
        if (partition) reports.push(await partition.failures.retry(entries));
        else reports.push({ retried: [], taken: [], struck: [], unusable: [], missing: ids });
      }
      return sumOfRetries(reports);
    });
  }

  async discard(which: FailureSelection): Promise<number> {
    return await this.#spans.run('discard', 'client', {}, async () => {
      let discarded = 0;
      for (const { partition, entries } of await this.#failuresOf(which)) {
        if (partition) discarded += await partition.failures.discard(entries);
      }
      return discarded;
    });
  }

  /** Returns the failures that are selected, by their partitions; the oldest of each first if it is a filter. */
  async #failuresOf(which: FailureSelection): Promise<SelectedFailures[]> {
    if (typeof which === 'string') return await this.#byPartition([checkId(which)]);
    if (Array.isArray(which)) return await this.#byPartition([...new Set(which.map(checkId))]);
    const { query, limit } = queryOf(which as FailureFilter);
    const partitions = await this.#partitions.load();
    const found = await Promise.all(partitions.map((one) => one.failures.idsWith(query, limit)));
    const newest = newestOf(found, limit);
    return partitions.map((partition, i) => {
      const entries = found[i]!.slice(0, newest[i]!).reverse();
      return { partition, ids: entries, entries };
    });
  }

  async #byPartition(ids: readonly string[]): Promise<SelectedFailures[]> {
    const isElsewhere = ids.some((id) => partsOf(id).tag !== '');
    if (isElsewhere) await this.#partitions.load();
    const tags = [...new Set(ids.map((id) => partsOf(id).tag))];
    return tags.map((tag) => {
      const ofPartition = ids.filter((id) => partsOf(id).tag === tag);
      return {
        partition: this.#partitions.find(tag),
        ids: ofPartition,
        entries: ofPartition.map((id) => partsOf(id).entry),
      };
    });
  }
}

/** The failures of one partition that are selected. */
interface SelectedFailures {
  /** `undefined` when there is no such partition, or none any more. */
  readonly partition: Partition | undefined;
  readonly ids: readonly string[];
  /** Their ids without the tag of the partition. */
  readonly entries: readonly string[];
}

/** Returns how many of each list are among the newest of all. Each list begins with its newest. */
function newestOf(lists: readonly (readonly string[])[], limit: number): number[] {
  const counts = lists.map(() => 0);
  const total = lists.reduce((sum, list) => sum + list.length, 0);
  if (total <= limit) return lists.map((list) => list.length);
  for (let left = limit; left > 0; left--) {
    let newest = -1;
    for (const [i, list] of lists.entries()) {
      const id = list[counts[i]!];
      if (id !== undefined && (newest < 0 || timeOf(id) > timeOf(lists[newest]![counts[newest]!]!))) newest = i;
    }
    counts[newest]! += 1;
  }
  return counts;
}

function timeOf(entryId: string): number {
  return Number.parseInt(entryId, 10);
}

function isKnown({ outcome }: Cancelled): boolean {
  return outcome !== 'unknown';
}

function mostTelling(cancelled: readonly Cancelled[]): Cancelled {
  return OUTCOMES.flatMap((outcome) => cancelled.find((one) => one.outcome === outcome) ?? [])[0]!;
}

/** Says what was cleared although a partition could not be. */
function partlyCleared(
  error: RedisUnavailableError,
  { removed, isAlone }: { readonly removed: number; readonly isAlone: boolean },
): RedisUnavailableError {
  if (isAlone) return error;
  const done = `the other partitions were cleared (${countText(removed, 'execution')}), so clear once more when it answers`;
  return new RedisUnavailableError(`${error.message}; ${done}`, { cause: error });
}
