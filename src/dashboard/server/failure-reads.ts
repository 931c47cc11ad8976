/** The reads about failures: a page of them, in groups by task and error, and one of them whole. */
import type { Hono } from 'hono';
import type { FailureGroupJson, FailureRowJson, FailuresJson } from '../api.js';
import type { DashboardSettings } from './options.js';
import { shownArguments } from './private-arguments.js';
import { numberParameter, requiredParameter, textParameter } from './query.js';
import { Refusal } from './refusal.js';
import { failureJson, failureRow } from './rows.js';
import type { Source } from './source.js';

/** How many are listed. */
const LISTED = 100;
/** How many of the newest are looked at to make groups. Each is read with its arguments, so they are not more. */
const COUNTED = 500;
const TIME = { low: 0, high: Number.MAX_SAFE_INTEGER, fallback: 0 } as const;

export function addFailureReads(app: Hono, source: Source, settings: DashboardSettings): void {
  app.get('/api/failures', async (context) => {
    const [task, errorName] = [textParameter(context, 'task'), textParameter(context, 'error')];
    const [since, until] = ['since', 'until'].map((name) => numberParameter(context, name, TIME));
    const filter = {
      ...(task !== undefined && { task }),
      ...(errorName !== undefined && { errorName }),
      ...(since! > 0 && { since: new Date(since!) }),
      ...(until! > 0 && { until: new Date(until!) }),
      limit: COUNTED,
    };
    const rows: FailureRowJson[] = [];
    const groups = new Map<string, FailureGroupJson>();
    let counted = 0;
    for await (const failure of source.docket.failures(filter)) {
      counted += 1;
      if (rows.length < LISTED) rows.push(failureRow(failure));
      const name = JSON.stringify([failure.task, failure.errorName]);
      const group = groups.get(name);
      const { task, errorName, failedAt } = failure;
      groups.set(name, {
        task,
        errorName,
        count: (group?.count ?? 0) + 1,
        newest: group?.newest ?? failedAt.getTime(),
      });
    }
    const { totals } = await source.docket.snapshot({ limit: 0 });
    return context.json({
      failures: rows,
      groups: [...groups.values()].sort((a, b) => b.count - a.count).slice(0, LISTED),
      counted,
      isCut: counted > rows.length,
      mayBeMore: counted === COUNTED,
      total: totals.failures,
    } satisfies FailuresJson);
  });
  app.get('/api/failure', async (context) => {
    const failure = await source.docket.failure(requiredParameter(context, 'id'));
    if (!failure) throw new Refusal(404, 'DASHBOARD_NO_FAILURE', 'it was retried, discarded, or is no longer kept');
    return context.json(failureJson(failure, await shownArguments(source, settings, failure.task)));
  });
}
