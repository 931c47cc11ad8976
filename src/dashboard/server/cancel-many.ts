/**
 * `POST api/cancel-many`: cancels what a filter selects, up to a bound. To go through a long backlog takes a while, so the answer
 * begins before it is done: with spaces, which JSON ignores, so that no proxy gives up. When the page is closed, it ends; what
 * was cancelled stays so.
 */
import type { Hono } from 'hono';
import { stream } from 'hono/streaming';
import type { CancelFilter } from '../../tasks/cancelling.js';
import type { ChangedJson, ErrorJson } from '../api.js';
import { senderOf } from './changes.js';
import { executionFilter } from './execution-filter.js';
import type { DashboardSettings } from './options.js';
import { bodyOf, refuse, textOrNullIn } from './query.js';
import { errorAnswer, problemFields } from './refusal.js';
import type { Source } from './source.js';

/** The most that one request cancels. The page sends the next one. */
const MOST_CANCELLED = 10_000;
const SPACE_EVERY_MS = 10_000;

export function addCancelMany(app: Hono, { docket }: Source, { logger }: Pick<DashboardSettings, 'logger'>): void {
  app.post('/api/cancel-many', async (context) => {
    const body = await bodyOf(context);
    const [task, state, where] = ['task', 'state', 'where'].map((name) => textOrNullIn(body, name));
    if (!task && !where) refuse('give a task, arguments or both');
    const filter = executionFilter({ task, state, where }) as CancelFilter; // the docket refuses states of what has ended
    const line = { docket: docket.name, given: body, ...senderOf(context) };
    const cancel = async (): Promise<ChangedJson | ErrorJson> => {
      try {
        const { signal } = context.req.raw;
        const report = await docket.cancelMany({ ...filter, limit: MOST_CANCELLED, signal });
        const changed = changedBy(report);
        logger.info({ ...line, outcome: changed.message }, 'dashboard: cancel-many');
        return changed;
      } catch (error) {
        logger.warn({ ...line, ...problemFields(error) }, 'dashboard: cancel-many failed');
        return errorAnswer(error)[1];
      }
    };
    context.header('Content-Type', 'application/json');
    return stream(context, async (answer) => {
      const timer = setInterval(() => void answer.write(' ').catch(() => {}), SPACE_EVERY_MS);
      const json = await cancel().finally(() => clearInterval(timer));
      await answer.write(JSON.stringify(json));
    });
  });
}

function changedBy({ removed, stopping, missed }: Awaited<ReturnType<Source['docket']['cancelMany']>>): ChangedJson {
  const parts = [
    [removed, 'had not started'],
    [stopping, 'asked to stop'],
    [missed, 'ended or moved on before'],
  ] as const;
  const told = parts.flatMap(([count, text]) => (count > 0 ? [`${count} ${text}`] : []));
  const cancelled = removed + stopping;
  const message = `Cancelled ${cancelled} execution${cancelled === 1 ? '' : 's'}${told.length > 0 ? `: ${told.join(', ')}` : ''}.`;
  return { message, cancelled, isMore: removed + stopping + missed >= MOST_CANCELLED };
}
