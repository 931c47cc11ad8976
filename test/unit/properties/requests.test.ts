/** Whatever a browser sends to the dashboard, and a thread to its coordinator: it is answered, or refused. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isBooted, isFromThread } from '../../../src/channel/untrusted.js';
import { listPage } from '../../../src/client/list.js';
import { InvalidOptionError } from '../../../src/core/errors.js';
import { makeApp } from '../../../src/dashboard/server/app.js';
import { fakeSettings, fakeSource } from '../../support/fake-source.js';
import { anyText, anyValue, holds, holdsAsync, PATIENCE_MS } from '../../support/properties.js';

const ORIGIN = 'http://ops.example';

/** What every method of the docket does: it checks nothing, so that only the server's own checks are met. */
const docket = {
  listPage: async () => ({ executions: [], lookedAt: 0, next: null }),
  show: async () => null,
  history: async () => [],
  stats: async () => [],
  limits: async () => [],
  strikes: async () => [],
  pauses: async () => [],
  schedules: async function* () {},
  failures: async function* () {},
  failure: async () => null,
  cancel: async () => ({ outcome: 'removed' }),
  runNow: async () => true,
  retry: async () => ({ retried: [], taken: [], struck: [], unusable: [], missing: [] }),
  discard: async () => 0,
  pause: async () => {},
  resume: async () => true,
  strike: async () => {},
  restore: async () => true,
  countPage: async () => ({ groups: [], lookedAt: 0, next: null }),
};

const READS = ['session', 'findings', 'history', 'executions', 'find', 'count', 'execution', 'schedules', 'tasks'];
const MORE_READS = ['limits', 'strikes', 'workers', 'failures', 'failure', 'failure-groups', 'counts', 'nothing'];
const CHANGES = ['cancel', 'run-now', 'retry', 'discard', 'pause', 'resume', 'strike', 'restore', 'nothing'];
const PARAMETERS = ['task', 'state', 'where', 'after', 'minutes', 'list', 'key', 'id', 'by', 'limit', 'since', 'error'];

describe('the dashboard', { timeout: PATIENCE_MS }, () => {
  const { settings, lines } = fakeSettings();
  const app = makeApp(fakeSource(docket), settings);

  /** Sends a request, and checks that the answer is no failure of the server, and of a bounded size. */
  async function ask(path: string, init: RequestInit = {}): Promise<void> {
    const response = await app.fetch(new Request(ORIGIN + path, init));
    const text = await response.text();
    const failed = lines.filter(({ level }) => level === 'error').map(({ fields }) => String(fields.err));
    if (response.status >= 500 || failed.length > 0) throw new Error(`${response.status} ${path} ${text} ${failed}`);
    if (text.length > 1_000_000) throw new Error('too long');
    if (!response.headers.get('content-security-policy')?.includes("default-src 'none'")) throw new Error('no policy');
  }

  test('answers or refuses any read', async () => {
    const value = fc.oneof(anyText, fc.string({ minLength: 4_000, maxLength: 9_000 }));
    const query = fc.array(fc.tuple(fc.constantFrom(...PARAMETERS), value), { maxLength: 4 });
    await holdsAsync(fc.tuple(fc.constantFrom(...READS, ...MORE_READS), query), async ([name, parameters]) => {
      await ask(`/api/${name}?${new URLSearchParams(parameters)}`);
    });
    await holdsAsync(fc.tuple(fc.constantFrom('/', '/assets/', '/api/', '//', '/%'), anyText), async ([base, text]) => {
      const path = `${base}${text}`;
      if (URL.canParse(ORIGIN + path)) await ask(path);
    });
  });

  test('answers or refuses any change', async () => {
    const { csrf } = (await (await app.fetch(new Request(`${ORIGIN}/api/session`))).json()) as { csrf: string };
    const names = ['key', 'task', 'reason', 'ids', 'filter', 'parameter', 'operator', 'value', '__proto__'];
    const value = fc.oneof(anyText, fc.jsonValue(), fc.record({ task: fc.jsonValue(), since: fc.jsonValue() }));
    const body = fc.oneof(
      anyText,
      fc.json(),
      fc.dictionary(fc.constantFrom(...names), value).map((fields) => JSON.stringify(fields)),
    );
    const headers = { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin', 'x-docket-csrf': csrf };
    await holdsAsync(fc.tuple(fc.constantFrom(...CHANGES), body), async ([name, text]) => {
      await ask(`/api/${name}`, { method: 'POST', headers, body: text });
    });
    await expect(ask('/api/cancel', { method: 'POST', headers, body: '{"key":"a"}' })).resolves.toBeUndefined();
  });

  test('gives nobody an answer without the token, whatever they send in its place', async () => {
    const guarded = makeApp(fakeSource(docket), fakeSettings({ token: 'the-right-token' }).settings);
    const header = fc.oneof(
      fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
      fc
        .tuple(
          fc.constantFrom('Basic', 'Bearer', 'basic', 'Digest'),
          fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
        )
        .map((it) => it.join(' ')),
      fc.string().map((text) => `Basic ${Buffer.from(text).toString('base64')}`),
    );
    await holdsAsync(
      fc.tuple(header, fc.constantFrom('/', '/api/session', '/assets/x', '/api/cancel')),
      async ([authorization, path]) => {
        const method = path === '/api/cancel' ? 'POST' : 'GET';
        const { status } = await guarded.fetch(new Request(ORIGIN + path, { method, headers: { authorization } }));
        if (status !== 401) throw new Error(`${status}`);
      },
    );
  });
});

describe('a position in a listing', { timeout: PATIENCE_MS }, () => {
  test('that comes from outside is accepted as it was given out, or refused', async () => {
    const field = fc.oneof(
      anyText,
      fc.constantFrom('work', 'limits', 'schedule', 'ended', '0', '1-1', '1e5', '-inf', 'nan'),
    );
    const fields = fc.dictionary(
      fc.constantFrom('place', 'id', 'scan', 'limit', 'score', 'member', 'key', 'tag', 'x'),
      fc.oneof(field, fc.jsonValue()),
    );
    const position = fc.oneof(
      anyText,
      fc.oneof(fields, fc.jsonValue()).map((it) => Buffer.from(JSON.stringify(it)).toString('base64url')),
    );
    await holdsAsync(
      position,
      // No partition has what a sound position names, so that is refused, too.
      async (after) => await listPage(async () => [], { after }),
      [InvalidOptionError],
    );
  });
});

describe('a thread', { timeout: PATIENCE_MS }, () => {
  const names = [
    'kind',
    'batch',
    'over',
    'message',
    'line',
    'units',
    'completed',
    'withResult',
    'ends',
    'bytes',
    'others',
  ];
  const shaped = fc.dictionary(
    fc.constantFrom(...names),
    fc.oneof(
      fc.constantFrom('outcomes', 'progress', 'log', 'output', 'placements', 'ready', 'failed'),
      fc.jsonValue(),
      anyValue,
    ),
  );

  test('may send anything: what it is is told without an error', () => {
    holds(
      fc.oneof(anyValue, shaped, fc.record({ kind: fc.constant('outcomes'), batch: shaped, over: fc.jsonValue() })),
      (message) => {
        if (typeof isFromThread(message) !== 'boolean' || typeof isBooted(message) !== 'boolean')
          throw new Error('neither');
      },
    );
    expect(isFromThread(null)).toBe(false);
  });
});
