/** What the dashboard needs of a docket beside its public methods. */
import { readFileSync } from 'node:fs';
import type { Docket } from '../../client/docket.js';
import { partsOf, queryOf } from '../../client/failures.js';
import { internalsOf } from '../../client/internals.js';
import type { Partition } from '../../client/partition.js';
import { ownFile } from '../../core/own-files.js';
import { examine } from '../../doctor/examine.js';
import type { Finding } from '../../doctor/finding.js';
import { type FailurePage, firstPage, groupFailures, type StoredFailureGroup } from '../../redis/failure-store.js';
import { type LiveWorker, liveWorkers, type PolicyTexts, readPolicies } from '../../redis/fleet-store.js';
import { readProgressOf } from '../../redis/progress-store.js';
import type { ProgressRecord } from '../../redis/record.js';
import { measure } from '../../redis/snapshot-store.js';
import { maskUrl } from '../../redis/url.js';
import type { FailureFilter } from '../../tasks/failures.js';

export interface Source {
  readonly docket: Docket;
  /** Without the password. */
  readonly url: string;
  readonly version: string;
  /** Reads the progress of executions; `null` for each that has reported none. */
  progressOf(executions: readonly string[]): Promise<(ProgressRecord | null)[]>;
  /** Lists the live workers, also those that take no work. */
  workers(): Promise<LiveWorker[]>;
  /** Returns since when the execution that is read next has been due, in server milliseconds; `null` when nothing is queued. */
  oldestDueMs(): Promise<number | null>;
  /** Reads what some workers announced of the policies of their tasks; `null` for those that did not. */
  policies(consumers: readonly string[]): Promise<readonly (PolicyTexts | null)[]>;
  /** Counts some thousand failures by task and error name, the newest first, from where the page before ended. */
  failureGroups(filter: FailureFilter): Promise<FailureGroupsPage>;
  /** Makes the checks of `docket doctor` that are cheap enough to be made while somebody looks. */
  findings(): Promise<readonly Finding[]>;
}

export interface FailureGroupsPage {
  readonly groups: readonly StoredFailureGroup[];
  /** The id of the failure behind which it goes on; `null` when all were counted. */
  readonly next: string | null;
}

/** Scripts that one page of failure groups takes, each of which looks at 128 failures or 1 MiB: some 40 ms together. */
const SCRIPTS_OF_A_PAGE = 16;

/** @throws InvalidOptionError when it is not a docket of this copy of the package */
export function sourceOf(docket: Docket): Source {
  const { settings, partitions } = internalsOf(docket);
  const { version } = JSON.parse(readFileSync(ownFile('../../package.json'), 'utf8'));
  return {
    docket,
    url: maskUrl(settings.url),
    version: version as string,
    progressOf: async (executions) => {
      const read = await partitions.everywhere((one) =>
        one.run((redis, keys) => readProgressOf(redis, keys, executions)),
      );
      return executions.map((_, i) => read.find((progress) => progress[i])?.[i] ?? null);
    },
    workers: async () => {
      const lists = await partitions.everywhere((one) => one.run(liveWorkers));
      return [...new Map(lists.flat().map((worker) => [worker.consumer, worker])).values()];
    },
    oldestDueMs: async () => {
      const read = await partitions.everywhere((one) => one.run(measure));
      const dueMs = read.flatMap(({ oldestDueMs }) => (oldestDueMs === null ? [] : [oldestDueMs]));
      return dueMs.length > 0 ? Math.min(...dueMs) : null;
    },
    policies: async (consumers) => {
      const lists = await partitions.everywhere((one) =>
        one.run((redis, keys) => readPolicies(redis, keys, consumers)),
      );
      return consumers.map((_, i) => lists.find((texts) => texts[i])?.[i] ?? null);
    },
    failureGroups: async (filter) => {
      return await failureGroups(await partitions.load(), filter);
    },
    findings: async () => await examine(docket, { isThorough: false }),
  };
}

/** Goes through one partition after the other. The id of a page says in which of them it goes on. */
async function failureGroups(partitions: readonly Partition[], filter: FailureFilter): Promise<FailureGroupsPage> {
  const { query } = queryOf(filter);
  const { tag, entry } = query.beforeId === null ? { tag: '', entry: null } : partsOf(query.beforeId);
  const groups: StoredFailureGroup[] = [];
  let at = partitions.findIndex((partition) => partition.tag === tag);
  if (at < 0) return { groups, next: null };
  let from: string | null = firstPage({ ...query, beforeId: entry });
  for (let scripts = 0; at < partitions.length && scripts < SCRIPTS_OF_A_PAGE; scripts++) {
    const begin: string = from ?? firstPage({ ...query, beforeId: null });
    const page: FailurePage<StoredFailureGroup> = await partitions[at]!.run((redis, keys) =>
      groupFailures(redis, keys, query, begin),
    );
    groups.push(...page.found);
    from = page.next;
    if (from === null) at += 1;
  }
  const following = partitions[at];
  if (!following) return { groups, next: null };
  const suffix = following.tag === '' ? '' : `@${following.tag}`;
  return { groups, next: `${from?.replace('(', '') ?? BEHIND_ALL}${suffix}` };
}

/** An id behind that of any failure: its partition is not begun. */
const BEHIND_ALL = '999999999999999-0';
