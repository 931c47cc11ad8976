/** The reads of the API: each does a bounded amount of work, and each answer is bounded. */
import type { Context, Hono } from 'hono';
import { ExecutionNotFoundError } from '../../core/errors.js';
import type { ListPageOptions } from '../../tasks/listing.js';
import type {
  CountJson,
  ExecutionsJson,
  FindingsJson,
  FoundJson,
  HistoryJson,
  LimitsJson,
  SchedulesJson,
  SessionJson,
  StrikesJson,
} from '../api.js';
import { addCountReads } from './count-reads.js';
import { executionFilter } from './execution-filter.js';
import { addFailureReads } from './failure-reads.js';
import { readWorkers } from './live.js';
import { operandJson } from './operand.js';
import type { DashboardSettings } from './options.js';
import { shownArguments } from './private-arguments.js';
import { numberParameter, requiredParameter, textParameter, wordParameter } from './query.js';
import { remembered } from './remembered.js';
import { executionJson, msOf, pointsOf, rowOf, rowOfListed, scheduleJson } from './rows.js';
import type { Source } from './source.js';
import { readTasks } from './task-reads.js';

const LISTED = 200;
/** How many executions a search looks at for one answer, which takes some 30 ms. The page asks for the next ones. */
const LOOKED_AT = 1_000;
/** The most that one answer counts. */
const COUNTED = 1_000;
const MOST_SCHEDULES = 500;
const MOST_STRIKES = 1_000;
const MOST_POINTS = 240;
const MINUTES = { low: 1, high: 2_880, fallback: 60 } as const;
/** Those of all tasks are many times as much to read as those of one, or of all together. */
const MINUTES_OF_TASKS = { ...MINUTES, high: 60 } as const;
const FINDINGS_FOR_MS = 15_000;
/** Counts of an hour are 1.2 s old at most, those of a day 29 s. */
const STATS_MS_PER_MINUTE = 20;

export interface ReadOptions {
  readonly settings: DashboardSettings;
  readonly csrf: string;
}

export function addReads(app: Hono, source: Source, options: ReadOptions): void {
  const { settings, csrf } = options;
  app.get('/api/session', (context) =>
    context.json({
      docket: source.docket.name,
      url: source.url,
      version: source.version,
      isReadOnly: settings.isReadOnly,
      showsArguments: settings.showsArguments,
      csrf,
    } satisfies SessionJson),
  );
  addOverviewReads(app, source);
  addExecutionReads(app, source, settings);
  addCountReads(app, source, settings);
  addFailureReads(app, source, settings);
  addFleetReads(app, source);
}

function addOverviewReads(app: Hono, source: Source): void {
  const findings = remembered(
    () => FINDINGS_FOR_MS,
    async (): Promise<FindingsJson> => {
      const found = await source.findings();
      return { findings: found.filter(({ status }) => status !== 'ok') };
    },
    areOfReachedServer,
  );
  app.get('/api/findings', async (context) => context.json(await findings.read(0)));
  app.post('/api/*', async (_context, next) => {
    await next();
    findings.forget(); // a person who has just paused a task expects to see that
  });
  app.get('/api/history', async (context) => {
    const minutes = numberParameter(context, 'minutes', MINUTES);
    const task = textParameter(context, 'task');
    const history = await source.docket.history({ minutes, ...(task !== undefined && { task }) });
    return context.json({ points: pointsOf(history, MOST_POINTS) } satisfies HistoryJson);
  });
}

/** An outage that is over must not be told of for a while longer. */
function areOfReachedServer({ findings }: FindingsJson): boolean {
  return findings.every(({ check, status }) => check !== 'connection' || status !== 'fail');
}

/** The lists of a snapshot. */
const LISTS = ['running', 'queued', 'scheduled', 'waiting'] as const;

function addExecutionReads(app: Hono, source: Source, settings: DashboardSettings): void {
  app.get('/api/executions', async (context) => {
    const list = wordParameter(context, 'list', LISTS);
    const { totals, running, queued, future, waiting } = await source.docket.snapshot({ limit: LISTED });
    const executions = {
      running: () => running.map(rowOf.running),
      queued: () => queued.map(rowOf.queued),
      scheduled: () => future.map(rowOf.scheduled),
      waiting: () => waiting.map(rowOf.waiting),
    }[list]();
    const total = list === 'waiting' ? totals.waiting + totals.paused : totals[list];
    return context.json({ total, executions } satisfies ExecutionsJson);
  });
  app.get('/api/find', async (context) => {
    const { executions, lookedAt, next } = await source.docket.listPage({ ...pageIn(context), limit: LISTED });
    return context.json({ executions: executions.map(rowOfListed), lookedAt, next } satisfies FoundJson);
  });
  app.get('/api/count', async (context) => {
    const { executions, lookedAt, next } = await source.docket.listPage({ ...pageIn(context), limit: COUNTED });
    return context.json({ count: executions.length, lookedAt, next } satisfies CountJson);
  });
  app.get('/api/execution', async (context) => {
    const key = requiredParameter(context, 'key');
    const details = await source.docket.show(key);
    if (!details) throw new ExecutionNotFoundError(key);
    return context.json(executionJson(details, await shownArguments(source, settings, details.task)));
  });
}

function pageIn(context: Context): ListPageOptions {
  const [task, state, where] = ['task', 'state', 'where'].map((name) => textParameter(context, name));
  const after = textParameter(context, 'after') ?? null;
  return { ...executionFilter({ task, state, where }), after, lookAt: LOOKED_AT };
}

function addFleetReads(app: Hono, source: Source): void {
  const { docket } = source;
  app.get('/api/schedules', async (context) => {
    const task = textParameter(context, 'task');
    const schedules = [];
    for await (const schedule of docket.schedules({ limit: MOST_SCHEDULES + 1, ...(task !== undefined && { task }) })) {
      schedules.push(scheduleJson(schedule));
    }
    const isCut = schedules.length > MOST_SCHEDULES;
    return context.json({ schedules: schedules.slice(0, MOST_SCHEDULES), isCut } satisfies SchedulesJson);
  });
  // The counts of a day are many, and the last minutes change little of them.
  const stats = remembered(
    (minutes) => minutes * STATS_MS_PER_MINUTE,
    (minutes: number) => docket.stats({ minutes }),
  );
  app.get('/api/tasks', async (context) =>
    context.json(await readTasks(source, numberParameter(context, 'minutes', MINUTES_OF_TASKS), stats.read)),
  );
  app.get('/api/limits', async (context) => {
    const limits = await docket.limits({ limit: LISTED, each: 20 });
    return context.json({
      limits: limits.map(({ holders, waiters, ...limit }) => ({
        ...limit,
        holders: holders.map(({ since, ...holder }) => ({ ...holder, since: msOf(since) })),
        waiters: waiters.map(({ since, ...waiter }) => ({ ...waiter, since: since.getTime() })),
      })),
    } satisfies LimitsJson);
  });
  app.get('/api/strikes', async (context) => {
    const strikes = await docket.strikes();
    return context.json({
      total: strikes.length,
      strikes: strikes.slice(0, MOST_STRIKES).map(({ value, since, ...strike }) => ({
        ...strike,
        ...(value !== undefined && { value: operandJson(value) }),
        since: since.getTime(),
      })),
    } satisfies StrikesJson);
  });
  app.get('/api/workers', async (context) => context.json({ workers: await readWorkers(source) }));
}
