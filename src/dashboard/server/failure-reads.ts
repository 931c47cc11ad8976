/** The reads about failures: a page of them, a page of their groups by task and error, and one of them whole. */
import type { Context, Hono } from 'hono';
import type { StoredFailureGroup } from '../../redis/failure-store.js';
import type { FailureFilter } from '../../tasks/failures.js';
import type { FailureGroupJson, FailureGroupsJson, FailureRowJson, FailuresJson } from '../api.js';
import type { DashboardSettings } from './options.js';
import { shownArguments } from './private-arguments.js';
import { numberParameter, requiredParameter, textParameter } from './query.js';
import { Refusal } from './refusal.js';
import { failureJson, failureRow } from './rows.js';
import type { Source } from './source.js';

/** How many are listed on a page. */
const LISTED = 100;
const TIME = { low: 0, high: Number.MAX_SAFE_INTEGER, fallback: 0 } as const;

export function addFailureReads(app: Hono, source: Source, settings: DashboardSettings): void {
  app.get('/api/failures', async (context) => {
    const failures: FailureRowJson[] = [];
    const filter = { ...filterIn(context), limit: LISTED + 1 };
    for await (const failure of source.docket.failures(filter)) failures.push(failureRow(failure));
    const next = failures.length > LISTED ? failures[LISTED - 1]!.id : null;
    return context.json({ failures: failures.slice(0, LISTED), next } satisfies FailuresJson);
  });
  app.get('/api/failure-groups', async (context) => {
    const { groups, next } = await source.failureGroups(filterIn(context));
    return context.json({ groups: joined(groups), next } satisfies FailureGroupsJson);
  });
  app.get('/api/failure', async (context) => {
    const failure = await source.docket.failure(requiredParameter(context, 'id'));
    if (!failure) throw new Refusal(404, 'DASHBOARD_NO_FAILURE', 'it was retried, discarded, or is no longer kept');
    return context.json(failureJson(failure, await shownArguments(source, settings, failure.task)));
  });
}

function filterIn(context: Context): FailureFilter {
  const [task, errorName, before] = ['task', 'error', 'before'].map((name) => textParameter(context, name));
  const [since, until] = ['since', 'until'].map((name) => numberParameter(context, name, TIME));
  return {
    ...(task !== undefined && { task }),
    ...(errorName !== undefined && { errorName }),
    ...(before !== undefined && { before }),
    ...(since! > 0 && { since: new Date(since!) }),
    ...(until! > 0 && { until: new Date(until!) }),
  };
}

function joined(groups: readonly StoredFailureGroup[]): FailureGroupJson[] {
  const sums = new Map<string, FailureGroupJson>();
  for (const { task, errorName, count, newestId } of groups) {
    const name = JSON.stringify([task, errorName]);
    const before = sums.get(name);
    const newest = before?.newest ?? Number.parseInt(newestId, 10);
    sums.set(name, { task, errorName, count: (before?.count ?? 0) + count, newest });
  }
  return [...sums.values()];
}
