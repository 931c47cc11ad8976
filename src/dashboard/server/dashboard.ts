/** `dashboard()`: the page and its API as one fetch handler. */
import type { Docket } from '../../client/docket.js';
import { makeApp } from './app.js';
import { type DashboardOptions, resolveDashboardOptions } from './options.js';
import { sourceOf } from './source.js';

export type { DashboardOptions } from './options.js';

/** Answers the requests of the page. */
export type DashboardHandler = (request: Request) => Promise<Response>;

/**
 * Makes a web page on which people operate a docket: a handler of requests that fits wherever there is a `Request` and a
 * `Response`. It holds nothing open while nobody looks at the page. The docket stays yours to close.
 *
 * Without a `token`, whoever reaches the handler may use it: mount it behind a login of your own, or give it one.
 *
 * @throws InvalidOptionError naming the option that cannot be used
 * @example
 * ```ts
 * import { Docket } from 'docket';
 * import { dashboard } from 'docket/dashboard';
 *
 * const operate = dashboard(new Docket(), { basePath: '/ops', token: process.env.OPS_TOKEN });
 * app.all('/ops/*', (context) => operate(context.req.raw)); // Hono
 * ```
 */
export function dashboard(docket: Docket, options: DashboardOptions = {}): DashboardHandler {
  const app = makeApp(sourceOf(docket), resolveDashboardOptions(options));
  return async (request) => await app.fetch(request);
}
