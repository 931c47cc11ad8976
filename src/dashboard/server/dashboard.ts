/** `dashboard()`: the page and its API as one fetch handler. */
import type { Docket } from '../../client/docket.js';
import { makeApp } from './app.js';
import { type DashboardOptions, resolveDashboardOptions } from './options.js';
import { sourceOf } from './source.js';

export type { DashboardOptions } from './options.js';

/** Answers the requests of the page. */
export type DashboardHandler = (request: Request) => Promise<Response>;

/**
 * Makes a web page for operating a docket: a function from a `Request` to a `Response`, for any server that uses these types. It
 * does nothing while no page is open. It does not close the docket.
 *
 * Without a `token`, everyone who can reach the handler can use it: mount it behind your own login, or pass a token.
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
