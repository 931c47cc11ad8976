/** What the dashboard needs of a docket beside its public methods. */
import { readFileSync } from 'node:fs';
import type { Docket } from '../../client/docket.js';
import { internalsOf } from '../../client/internals.js';
import { examine } from '../../doctor/examine.js';
import type { Finding } from '../../doctor/finding.js';
import { type LiveWorker, liveWorkers } from '../../redis/fleet-store.js';
import { readProgressOf } from '../../redis/progress-store.js';
import type { ProgressRecord } from '../../redis/record.js';
import { maskUrl } from '../../redis/url.js';

export interface Source {
  readonly docket: Docket;
  /** Without the password. */
  readonly url: string;
  readonly version: string;
  /** Reads the progress of executions; `null` for each that has reported none. */
  progressOf(executions: readonly string[]): Promise<(ProgressRecord | null)[]>;
  /** Lists the live workers, also those that take no work. */
  workers(): Promise<LiveWorker[]>;
  /** Makes the checks of `docket doctor` that are cheap enough to be made while somebody looks. */
  findings(): Promise<readonly Finding[]>;
}

/** @throws InvalidOptionError when it is not a docket of this copy of the package */
export function sourceOf(docket: Docket): Source {
  const { url, keys } = internalsOf(docket).settings;
  const { version } = JSON.parse(readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8'));
  return {
    docket,
    url: maskUrl(url),
    version: version as string,
    progressOf: async (executions) => await readProgressOf(await docket.redis, keys, executions),
    workers: async () => await liveWorkers(await docket.redis, keys),
    findings: async () => await examine(docket, { isThorough: false }),
  };
}
