/** `api/value-counts`: whose executions there are. Values of arguments that may be private are counted together. */
import type { Hono } from 'hono';
import { argumentText } from '../../tasks/argument-text.js';
import type { ExecutionCount } from '../../tasks/counting.js';
import type { ValueCountJson, ValueCountsJson } from '../api.js';
import { executionFilter } from './execution-filter.js';
import { valueJson } from './operand.js';
import type { DashboardSettings } from './options.js';
import { shownArguments } from './private-arguments.js';
import { textParameter } from './query.js';
import type { Source } from './source.js';

const LISTED = 100;
const LOOK_AT = 100_000;

export function addCountReads(app: Hono, source: Source, settings: DashboardSettings): void {
  app.get('/api/value-counts', async (context) => {
    const [task, state, where, by] = ['task', 'state', 'where', 'by'].map((name) => textParameter(context, name));
    const { counts, lookedAt, isWhole } = await source.docket.count({
      ...executionFilter({ task, state, where }),
      ...(by !== undefined && { by }),
      lookAt: LOOK_AT,
      signal: context.req.raw.signal,
    });
    const rows = await rowsOf(counts, by, async (name) => await shownArguments(source, settings, name));
    const more = Math.max(0, rows.length - LISTED);
    return context.json({ counts: rows.slice(0, LISTED), more, lookedAt, isWhole } satisfies ValueCountsJson);
  });
}

/** Tells of a task which of its arguments may be shown. */
type Shown = (task: string) => Promise<(name: string) => boolean>;

async function rowsOf(
  counts: readonly ExecutionCount[],
  by: string | undefined,
  shown: Shown,
): Promise<ValueCountJson[]> {
  const rows: ValueCountJson[] = [];
  const hidden = new Map<string, { count: number; hiddenValues: number }>();
  const isShown = new Map<string, boolean>();
  for (const { task, value, count } of counts) {
    if (value === undefined) {
      rows.push({ task, count, value: null, hiddenValues: 0 });
      continue;
    }
    if (!isShown.has(task)) isShown.set(task, (await shown(task))(by!));
    if (isShown.get(task)) {
      rows.push({ task, count, value: { json: valueJson(value), text: argumentText(value) }, hiddenValues: 0 });
      continue;
    }
    const sum = hidden.get(task) ?? { count: 0, hiddenValues: 0 };
    hidden.set(task, { count: sum.count + count, hiddenValues: sum.hiddenValues + 1 });
  }
  for (const [task, sum] of hidden) rows.push({ task, value: null, ...sum });
  return rows.sort((a, b) => b.count - a.count);
}
