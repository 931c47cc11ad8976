/** The changes of the API. Each is logged in one line, with what was done, by whom, and its outcome. */
import type { Context, Hono } from 'hono';
import { countText } from '../../core/text.js';
import type { FailureFilter, RetryReport } from '../../tasks/failures.js';
import type { StrikeOperator } from '../../wire/strikes.js';
import type { ChangedJson } from '../api.js';
import { userOf } from './access.js';
import { operandOf } from './operand.js';
import type { DashboardSettings } from './options.js';
import { type Body, bodyOf, refuse, textIn, textOrNullIn } from './query.js';
import { problemFields } from './refusal.js';
import type { Source } from './source.js';

/** How many failures can be chosen one by one. */
const MOST_IDS = 1_000;

/** Makes a change, and returns its outcome in words. */
type Change = (docket: Source['docket'], body: Body) => Promise<string>;

export function addChanges(app: Hono, source: Source, { logger }: Pick<DashboardSettings, 'logger'>): void {
  const { docket } = source;
  for (const [name, change] of Object.entries(CHANGES)) {
    app.post(`/api/${name}`, async (context) => {
      const body = await bodyOf(context);
      const line = { docket: docket.name, given: body, ...senderOf(context) };
      try {
        const message = await change(docket, body);
        logger.info({ ...line, outcome: message }, `dashboard: ${name}`);
        return context.json({ message } satisfies ChangedJson);
      } catch (error) {
        logger.warn({ ...line, ...problemFields(error) }, `dashboard: ${name} failed`);
        throw error;
      }
    });
  }
}

/** Returns the sender of a request: the user name and the forwarded address, where it has them. */
export function senderOf({ req }: Context): { readonly user: string | null; readonly address: string | null } {
  const address = req.header('x-forwarded-for')?.slice(0, 200) ?? null;
  return { user: userOf(req.header('authorization')), address };
}

const CHANGES: Readonly<Record<string, Change>> = {
  cancel: async (docket, body) => {
    const { outcome } = await docket.cancel(textIn(body, 'key'));
    return CANCELLED[outcome];
  },
  'run-now': async (docket, body) => {
    if (await docket.runNow(textIn(body, 'key'))) return 'It is due now.';
    return 'It is not scheduled: it is already queued or running, has ended, or is unknown.';
  },
  retry: async (docket, body) => retriedText(await docket.retry(failuresIn(body))),
  discard: async (docket, body) => {
    const count = await docket.discard(failuresIn(body));
    return `Discarded ${countText(count, 'failure')}.`;
  },
  pause: async (docket, body) => {
    const [task, reason] = [textOrNullIn(body, 'task'), textOrNullIn(body, 'reason')];
    await docket.pause(task, reason === null ? {} : { reason });
    return `Paused ${task ?? 'the whole docket'}.`;
  },
  resume: async (docket, body) => {
    const [task, reason] = [textOrNullIn(body, 'task'), textOrNullIn(body, 'reason')];
    const wasPaused = await docket.resume(task, reason === null ? {} : { reason });
    const what = task ?? 'The docket';
    return wasPaused ? `Resumed ${task ?? 'the docket'}.` : `${what} was not paused.`;
  },
  strike: async (docket, body) => {
    await docket.strike(...strikeIn(body));
    return 'Struck.';
  },
  restore: async (docket, body) => {
    return (await docket.restore(...strikeIn(body))) ? 'Restored.' : 'It was not struck.';
  },
};

const CANCELLED = {
  removed: 'Cancelled before it started.',
  stopping: 'It was asked to stop.',
  'ended already': 'It had already ended.',
  unknown: 'It has no record. If it is queued under this id, it will not start.',
} as const;

/** @throws Refusal for anything but some ids or a filter */
function failuresIn(body: Body): readonly string[] | FailureFilter {
  const { ids, filter } = body;
  if (Array.isArray(ids)) {
    if (ids.length > 0 && ids.length <= MOST_IDS) return ids.map((id) => textIn({ id }, 'id'));
    return refuse(`ids: expected 1 to ${MOST_IDS}`);
  }
  if (typeof filter !== 'object' || filter === null || Array.isArray(filter)) return refuse('give ids or a filter');
  // A part that is not understood must not be left out: the filter would select more.
  const unknown = Object.keys(filter).find((name) => !FILTER_NAMES.includes(name));
  if (unknown !== undefined) return refuse(`filter: it has ${FILTER_NAMES.join(', ')} only`);
  const [task, errorName] = ['task', 'errorName'].map((name) => textOrNullIn(filter as Body, name));
  const [since, until] = ['since', 'until'].map((name) => timeIn(filter as Body, name));
  return { ...(task && { task }), ...(errorName && { errorName }), ...(since && { since }), ...(until && { until }) };
}

const FILTER_NAMES: readonly string[] = ['task', 'errorName', 'since', 'until'];

function timeIn(filter: Body, name: string): Date | undefined {
  const value = filter[name];
  if (value === undefined) return undefined;
  return typeof value === 'number' ? new Date(value) : refuse(`${name}: expected a time in milliseconds`);
}

function retriedText({ retried, taken, struck, unusable, missing }: RetryReport): string {
  const others = [
    [taken, 'not added, because their keys are taken'],
    [struck, 'not added, because they are struck'],
    [unusable, 'cannot run'],
    [missing, 'no longer kept'],
  ] as const;
  const texts = others.flatMap(([list, text]) => (list.length > 0 ? [`${list.length} ${text}`] : []));
  return `${[`Retried ${countText(retried.length, 'failure')}`, ...texts].join('; ')}.`;
}

function strikeIn(body: Body): Parameters<Source['docket']['strike']> {
  const [task, parameter, operator] = ['task', 'parameter', 'operator'].map((name) => textOrNullIn(body, name));
  if (task === null && parameter === null) refuse('give a task, an argument or both');
  if (parameter === null) return [task!];
  return [task!, parameter!, (operator ?? '==') as StrikeOperator, operandOf(body.value)];
}
