/**
 * Checks who may use the dashboard, and for what. Owns three rules: a request without the token gets no answer; a change must come
 * from the page itself (same origin, and a CSRF token that no other site can read); and a read-only page changes nothing.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import type { DashboardSettings } from './options.js';
import { Refusal } from './refusal.js';

/** The header that has the CSRF token. */
const CSRF_HEADER = 'x-docket-csrf';

/** Makes the CSRF token. Processes with the same secret make the same one, so they can share a load balancer. */
export function csrfTokenOf({ token }: Pick<DashboardSettings, 'token'>): string {
  return createHmac('sha256', token ?? randomBytes(32))
    .update('docket dashboard csrf')
    .digest('base64url');
}

/** Refuses requests for other host names. A web site could let a name of its own lead to this page, to reach into this machine. */
export function checkHost({ hosts }: Pick<DashboardSettings, 'hosts'>): MiddlewareHandler {
  return async (context, next) => {
    const name = hostNameOf(context.req.raw);
    if (hosts && !hosts.has(name)) {
      throw new Refusal(
        421,
        'DASHBOARD_HOST',
        `this dashboard does not answer to the host name '${name}': open it by its own address, or name the host in \`hosts\``,
      );
    }
    await next();
  };
}

function hostNameOf(request: Request): string {
  const host = request.headers.get('host') ?? new URL(request.url).host;
  return host.replace(/:\d+$/, '').toLowerCase();
}

/** Refuses requests without the token. */
export function checkToken({ token }: Pick<DashboardSettings, 'token'>): MiddlewareHandler {
  return async (context, next) => {
    if (token !== null && !isSame(secretOf(context.req.header('authorization')), token)) {
      const message = 'give the token of the dashboard as the password, with any user name';
      throw new Refusal(401, 'DASHBOARD_TOKEN', message);
    }
    await next();
  };
}

/** Returns the secret of a request: a bearer token, or the password of basic authentication. */
function secretOf(authorization = ''): string {
  const [, scheme = '', credentials = ''] = /^(\w+) +(.+)$/.exec(authorization) ?? [];
  if (scheme.toLowerCase() === 'bearer') return credentials;
  if (scheme.toLowerCase() !== 'basic') return '';
  const text = Buffer.from(credentials, 'base64').toString();
  return text.slice(text.indexOf(':') + 1);
}

/** The user name of basic authentication; `null` when there is none. */
export function userOf(authorization = ''): string | null {
  const [, credentials] = /^basic +(.+)$/i.exec(authorization) ?? [];
  const text = credentials === undefined ? '' : Buffer.from(credentials, 'base64').toString();
  return text.slice(0, Math.max(0, text.indexOf(':'))) || null;
}

/** Compares secrets in a time that reveals nothing about them. */
function isSame(given: string, secret: string): boolean {
  const [a, b] = [given, secret].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(a!, b!);
}

/** Refuses all changes of a read-only page, and changes that do not come from the page. */
export function checkChange({ isReadOnly }: Pick<DashboardSettings, 'isReadOnly'>, csrf: string): MiddlewareHandler {
  return async (context, next) => {
    if (isReadOnly) throw new Refusal(403, 'DASHBOARD_READ_ONLY', 'this dashboard is read-only');
    if (!isSameOrigin(context.req.raw)) {
      throw new Refusal(
        403,
        'DASHBOARD_ORIGIN',
        'only the page of the dashboard may send changes: reload it and try again',
      );
    }
    if (!isSame(context.req.header(CSRF_HEADER) ?? '', csrf)) {
      throw new Refusal(403, 'DASHBOARD_CSRF', 'the page is out of date: reload it');
    }
    if (!/^application\/json\b/i.test(context.req.header('content-type') ?? '')) {
      throw new Refusal(415, 'DASHBOARD_CONTENT_TYPE', 'send the change as application/json');
    }
    await next();
  };
}

/**
 * Whether a browser sent the request from a page of this origin. Browsers say so themselves, which holds behind proxies, too;
 * older ones name the origin, which is then compared with the host.
 */
function isSameOrigin({ headers, url }: Request): boolean {
  const site = headers.get('sec-fetch-site');
  if (site !== null) return site === 'same-origin';
  const origin = headers.get('origin');
  if (origin === null || !URL.canParse(origin)) return false;
  return new URL(origin).host === (headers.get('host') ?? new URL(url).host);
}
