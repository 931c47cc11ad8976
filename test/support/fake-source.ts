/** A docket as the server of the dashboard sees it, without Redis. Each test gives the methods it needs. */
import type { DashboardSettings } from '../../src/dashboard/server/options.js';
import type { Source } from '../../src/dashboard/server/source.js';
import { type Line, recordingLogger } from './logger.js';

const NOTHING = { queued: 0, scheduled: 0, waiting: 0, paused: 0, running: 0, failures: 0 };

/** What a snapshot of an empty docket shows. */
export const EMPTY_SNAPSHOT = {
  taken: new Date(1_000),
  totals: NOTHING,
  queued: [],
  future: [],
  running: [],
  waiting: [],
  pauses: [],
  workers: [],
};

export function fakeSource(docket: object, more: Partial<Source> = {}): Source {
  return {
    docket: { name: 'shop', snapshot: async () => EMPTY_SNAPSHOT, ...docket } as unknown as Source['docket'],
    url: 'redis://localhost:6379/0',
    version: '0.0.0',
    progressOf: async (executions) => executions.map(() => null),
    workers: async () => [],
    oldestDueMs: async () => null,
    policies: async (consumers) => consumers.map(() => null),
    failureGroups: async () => ({ groups: [], next: null }),
    findings: async () => [],
    ...more,
  };
}

/** Settings, and the lines that are logged with them. */
export function fakeSettings(given: Partial<DashboardSettings> = {}): {
  readonly settings: DashboardSettings;
  readonly lines: Line[];
} {
  const { logger, lines } = recordingLogger('info');
  const none = { basePath: '', token: null, isReadOnly: false, showsArguments: false, hosts: null };
  return { settings: { ...none, logger, ...given }, lines };
}
