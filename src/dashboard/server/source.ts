/** What the dashboard needs of a docket beside its public methods. */
import { readFileSync } from 'node:fs';
import type { Docket } from '../../client/docket.js';
import { queryOf } from '../../client/failures.js';
import { internalsOf } from '../../client/internals.js';
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

/** @throws InvalidOptionError for what is no docket of this copy of the package */
export function sourceOf(docket: Docket): Source {
  const { url, keys } = internalsOf(docket).settings;
  const { version } = JSON.parse(readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8'));
  return {
    docket,
    url: maskUrl(url),
    version: version as string,
    progressOf: async (executions) => await readProgressOf(await docket.redis, keys, executions),
    workers: async () => await liveWorkers(await docket.redis, keys),
    oldestDueMs: async () => (await measure(await docket.redis, keys)).oldestDueMs,
    policies: async (consumers) => await readPolicies(await docket.redis, keys, consumers),
    failureGroups: async (filter) => {
      const { query } = queryOf(filter);
      const groups: StoredFailureGroup[] = [];
      let from: string | null = firstPage(query);
      for (let scripts = 0; from !== null && scripts < SCRIPTS_OF_A_PAGE; scripts++) {
        const page: FailurePage<StoredFailureGroup> = await groupFailures(await docket.redis, keys, query, from);
        groups.push(...page.found);
        from = page.next;
      }
      return { groups, next: from?.replace('(', '') ?? null };
    },
    findings: async () => await examine(docket, { isThorough: false }),
  };
}
