/**
 * The Hono app: what every request passes through, and the routes.
 *
 *   host ──> token ──> page, or API: reads (GET), live (SSE), changes (POST: same origin, CSRF, audit)
 */
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { checkChange, checkHost, checkToken, csrfTokenOf } from './access.js';
import { assetOf, CONTENT_SECURITY_POLICY } from './assets.js';
import { addCancelMany } from './cancel-many.js';
import { addChanges } from './changes.js';
import { addLive } from './live.js';
import type { DashboardSettings } from './options.js';
import { addReads } from './reads.js';
import { answerError, Refusal } from './refusal.js';
import type { Source } from './source.js';

/** The longest body of a change, in bytes. */
const LONGEST_BODY = 64 * 1_024;

const HEADERS = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
} as const;

export function makeApp(source: Source, settings: DashboardSettings): Hono {
  const csrf = csrfTokenOf(settings);
  const app = new Hono({ strict: true });
  app.use(async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) context.res.headers.set(name, value);
  });
  app.use(checkHost(settings), checkToken(settings));
  const { basePath } = settings;
  // Links of the page are relative, so its address must end with a slash.
  if (basePath) app.get(basePath, (context) => context.redirect(`${basePath.split('/').at(-1)}/`));
  app.get(`${basePath}/`, async () => await assetAnswer(''));
  app.route(basePath || '/', pages(source, settings, csrf));
  app.notFound((context) => answerError(context, NOT_FOUND, settings.logger));
  app.onError((error, context) => answerError(context, error, settings.logger));
  return app;
}

const NOT_FOUND = new Refusal(404, 'DASHBOARD_NOT_FOUND', 'there is nothing here');

function pages(source: Source, settings: DashboardSettings, csrf: string): Hono {
  const app = new Hono({ strict: true });
  app.use('/api/*', async (context, next) => {
    await next();
    if (!context.res.headers.has('Cache-Control')) context.res.headers.set('Cache-Control', 'no-store');
  });
  const limit = bodyLimit({
    maxSize: LONGEST_BODY,
    onError: () => {
      throw new Refusal(413, 'DASHBOARD_TOO_LARGE', `a change takes at most ${LONGEST_BODY} bytes`);
    },
  });
  app.post('/api/*', checkChange(settings, csrf), limit);
  addReads(app, source, { settings, csrf });
  addLive(app, source);
  addChanges(app, source, settings);
  addCancelMany(app, source, settings);
  app.get('/assets/:name', async (context) => await assetAnswer(`assets/${context.req.param('name')}`));
  return app;
}

async function assetAnswer(path: string): Promise<Response> {
  const asset = await assetOf(path);
  if (!asset) throw NOT_FOUND;
  return new Response(asset.body, { headers: asset.headers });
}
