import { describe, expect, test } from 'vitest';
import { makeApp } from '../../../src/dashboard/server/app.js';
import { resolveDashboardOptions } from '../../../src/dashboard/server/options.js';
import { fakeSettings, fakeSource } from '../../support/fake-source.js';

const ORIGIN = 'http://ops.example';

/** An app that notes which keys were cancelled. */
function openApp(given: Parameters<typeof fakeSettings>[0] = {}) {
  const cancelled: string[] = [];
  const cancel = async (key: string) => {
    cancelled.push(key);
    return { state: 'running', outcome: 'stopping' };
  };
  const { settings, lines } = fakeSettings(given);
  const app = makeApp(fakeSource({ cancel }), settings);
  const ask = async (path: string, init: RequestInit = {}) => await app.fetch(new Request(ORIGIN + path, init));
  const csrf = async (headers = {}) => {
    return ((await (await ask('/api/session', { headers })).json()) as { csrf: string }).csrf;
  };
  const change = async (headers: Record<string, string>, body = '{"key":"a"}', name = 'cancel') =>
    await ask(`/api/${name}`, { method: 'POST', headers, body });
  return { ask, csrf, change, cancelled, lines };
}

const JSON_TYPE = { 'content-type': 'application/json' };
const OWN = { ...JSON_TYPE, 'sec-fetch-site': 'same-origin' };

async function codeOf(response: Response): Promise<unknown> {
  return ((await response.json()) as { code: string }).code;
}

describe('a change', () => {
  test('is made for the page itself, and leaves a line in the log with what was done, by whom and what came of it', async () => {
    const { csrf, change, cancelled, lines } = openApp();
    const authorization = `Basic ${Buffer.from('ada:whatever').toString('base64')}`;
    const response = await change({ ...OWN, 'x-docket-csrf': await csrf(), authorization });
    expect([response.status, await response.json()]).toEqual([200, { message: 'It was asked to stop.' }]);
    expect(cancelled).toEqual(['a']);
    expect(lines).toMatchObject([
      {
        level: 'info',
        message: 'dashboard: cancel',
        fields: { docket: 'shop', given: { key: 'a' }, user: 'ada', outcome: 'It was asked to stop.' },
      },
    ]);
  });

  test.each([
    ['of another site', { 'sec-fetch-site': 'cross-site' }, 'DASHBOARD_ORIGIN'],
    ['of a sister site', { 'sec-fetch-site': 'same-site' }, 'DASHBOARD_ORIGIN'],
    ['of another origin, from an older browser', { origin: 'https://evil.example' }, 'DASHBOARD_ORIGIN'],
    ['of an opaque origin', { origin: 'null' }, 'DASHBOARD_ORIGIN'],
    ['that names no origin', {}, 'DASHBOARD_ORIGIN'],
  ])('%s is refused, even with the CSRF token', async (_, headers, code) => {
    const { csrf, change, cancelled } = openApp();
    const response = await change({ ...JSON_TYPE, ...(headers as object), 'x-docket-csrf': await csrf() });
    expect([response.status, await codeOf(response), cancelled]).toEqual([403, code, []]);
  });

  test('of an older browser is made when its origin is that of the page', async () => {
    const { csrf, change } = openApp();
    const response = await change({ ...JSON_TYPE, origin: ORIGIN, 'x-docket-csrf': await csrf() });
    expect(response.status).toBe(200);
  });

  test.each([undefined, '', 'guessed'])('is refused with the CSRF token %j', async (token) => {
    const { change, cancelled } = openApp();
    const response = await change({ ...OWN, ...(token !== undefined && { 'x-docket-csrf': token }) });
    expect([response.status, await codeOf(response), cancelled]).toEqual([403, 'DASHBOARD_CSRF', []]);
  });

  test('of a form, which needs no preflight, is refused', async () => {
    const { csrf, change } = openApp();
    const headers = { ...OWN, 'content-type': 'text/plain', 'x-docket-csrf': await csrf() };
    expect((await change(headers)).status).toBe(415);
  });

  test('is refused by a dashboard that is read-only', async () => {
    const { csrf, change, cancelled } = openApp({ isReadOnly: true });
    const response = await change({ ...OWN, 'x-docket-csrf': await csrf() });
    expect([response.status, await codeOf(response), cancelled]).toEqual([403, 'DASHBOARD_READ_ONLY', []]);
  });

  test('with a body that is too long, is no JSON or lacks a part is refused', async () => {
    const { csrf, change } = openApp();
    const headers = { ...OWN, 'x-docket-csrf': await csrf() };
    const bodies = ['x'.repeat(65_537), '{', '[]', 'null', '{}', '{"key":7}', `{"key":"${'k'.repeat(5_000)}"}`];
    const statuses = await Promise.all(bodies.map(async (body) => (await change(headers, body)).status));
    expect(statuses).toEqual([413, 400, 400, 400, 400, 400, 400]);
  });

  test('is no GET', async () => {
    const { ask, cancelled } = openApp();
    expect((await ask('/api/cancel?key=a')).status).toBe(404);
    expect(cancelled).toEqual([]);
  });
});

describe('a token', () => {
  const TOKEN = 'a long secret';
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });

  test('is asked for, for every path', async () => {
    const { ask } = openApp({ token: TOKEN });
    for (const path of ['/', '/api/session', '/api/live', '/assets/index.js', '/nothing']) {
      const response = await ask(path);
      expect([path, response.status]).toEqual([path, 401]);
      expect(response.headers.get('www-authenticate')).toContain('Basic');
    }
  });

  test('is taken as the password of any user, and as a bearer token', async () => {
    const { ask } = openApp({ token: TOKEN });
    const status = async (headers: Record<string, string>) => (await ask('/api/session', { headers })).status;
    expect(await status(basic(`ada:${TOKEN}`))).toBe(200);
    expect(await status(basic(`:${TOKEN}`))).toBe(200);
    expect(await status({ authorization: `Bearer ${TOKEN}` })).toBe(200);
    expect(await status(basic(`ada:${TOKEN}x`))).toBe(401);
    expect(await status(basic(TOKEN.slice(0, -1)))).toBe(401);
    expect(await status({ authorization: TOKEN })).toBe(401);
  });

  test('gives the same CSRF token in every process', async () => {
    const headers = basic(`:${TOKEN}`);
    const tokens = await Promise.all([
      openApp({ token: TOKEN }).csrf(headers),
      openApp({ token: TOKEN }).csrf(headers),
    ]);
    expect(tokens[0]).toBe(tokens[1]);
    expect(await openApp().csrf()).not.toBe(await openApp().csrf());
  });
});

test('a page that may be asked for by some names only is not served by another', async () => {
  const { ask } = openApp({ hosts: new Set(['localhost', 'ops.example']) });
  expect((await ask('/api/session')).status).toBe(200);
  expect((await ask('/api/session', { headers: { host: 'localhost:8081' } })).status).toBe(200);
  expect((await ask('/api/session', { headers: { host: 'rebound.example' } })).status).toBe(421);
});

test('every answer has a policy under which nothing runs that is not a file of the page', async () => {
  const { ask } = openApp();
  for (const path of ['/', '/api/session', '/nothing']) {
    const { headers } = await ask(path);
    const policy = headers.get('content-security-policy');
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|data:|http/);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  }
});

test('under a base path it answers there, leads to the address with a slash, and answers nothing else', async () => {
  const { ask } = openApp({ basePath: '/ops/docket' });
  expect((await ask('/ops/docket/')).status).toBe(200);
  expect((await ask('/ops/docket/api/session')).status).toBe(200);
  const redirect = await ask('/ops/docket');
  expect([redirect.status, redirect.headers.get('location')]).toEqual([302, 'docket/']);
  expect((await ask('/api/session')).status).toBe(404);
});

test('no file but those of the page can be asked for', async () => {
  const { ask } = openApp();
  for (const path of [
    '/assets/..%2fserver%2fapp.js',
    '/../package.json',
    '/server/app.js',
    '/assets/',
    '/index.html/x',
  ]) {
    expect([path, (await ask(path)).status]).toEqual([path, 404]);
  }
});

test('options that cannot be used are refused by name', () => {
  const problemOf = (options: object) => {
    try {
      resolveDashboardOptions(options);
    } catch (error) {
      return (error as { option?: string }).option;
    }
    return null;
  };
  expect(problemOf({ token: 'short' })).toBe('token');
  expect(problemOf({ token: '' })).toBe('token');
  expect(problemOf({ basePath: 'ops' })).toBe('basePath');
  expect(problemOf({ basePath: '/ops/../x y' })).toBe('basePath');
  expect(problemOf({ readonly: true })).toBe('readonly');
  expect(resolveDashboardOptions({ basePath: '/ops/' }).basePath).toBe('/ops');
});
