import { expect, test } from 'vitest';
import { InvalidOptionError, RedisUnavailableError } from '../../../src/core/errors.js';
import { makeApp } from '../../../src/dashboard/server/app.js';
import { fakeSettings, fakeSource } from '../../support/fake-source.js';

/** Sends a change, and returns the answer with what the docket was called with. */
async function change(name: string, sent: object, answer: unknown = undefined) {
  const calls: unknown[] = [];
  const call = async (...given: unknown[]) => {
    calls.push(given);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const methods = ['cancel', 'cancelMany', 'runNow', 'retry', 'discard', 'pause', 'resume', 'strike', 'restore'];
  const { settings, lines } = fakeSettings();
  const app = makeApp(fakeSource(Object.fromEntries(methods.map((method) => [method, call]))), settings);
  const { csrf } = (await (await app.request('/api/session')).json()) as { csrf: string };
  const headers = { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin', 'x-docket-csrf': csrf };
  const response = await app.request(`/api/${name}`, { method: 'POST', headers, body: JSON.stringify(sent) });
  const body = (await response.json()) as { message: string };
  return { status: response.status, body: body as object, message: body.message, calls, lines };
}

test.each([
  ['run-now', { key: 'a' }, true, ['a'], 'It is due now.'],
  ['pause', { task: null }, undefined, [null, {}], 'Paused the whole docket.'],
  ['pause', { task: 't', reason: 'r' }, undefined, ['t', { reason: 'r' }], 'Paused t.'],
  ['resume', { task: 't' }, true, ['t', {}], 'Resumed t.'],
  ['resume', {}, false, [null, {}], 'The docket was not paused.'],
  ['discard', { ids: ['1-0', '2-0'] }, 2, [['1-0', '2-0']], 'Discarded 2 failures.'],
  ['strike', { task: 't' }, undefined, ['t'], 'Struck.'],
  ['strike', { parameter: 'p', operator: '<', value: 3 }, undefined, [null, 'p', '<', 3], 'Struck.'],
  ['restore', { parameter: 'p', value: { bigint: '7' } }, true, [null, 'p', '==', 7n], 'Restored.'],
])('%s %j', async (name, body, answer, given, message) => {
  expect(await change(name, body, answer)).toMatchObject({ status: 200, message, calls: [given] });
});

test('failures are retried by a filter, up to the time at which they were seen, and the answer says what became of each', async () => {
  const taken = [{ id: '1-0', key: 'a' }];
  const report = { retried: taken, taken, struck: [], unusable: [], missing: ['9-0'] };
  const { message, calls } = await change('retry', { filter: { task: 't', errorName: 'E', until: 5 } }, report);
  expect(calls).toEqual([[{ task: 't', errorName: 'E', until: new Date(5) }]]);
  expect(message).toBe('Retried 1 failure; 1 not added, because their keys are taken; 1 no longer kept.');
});

test.each([
  ['retry', {}],
  ['cancel-many', {}],
  ['cancel-many', { state: 'queued' }],
  ['cancel-many', { where: 'odd' }],
  ['retry', { ids: [] }],
  ['retry', { ids: Array.from({ length: 1_001 }, () => '1-0') }],
  ['retry', { ids: [7] }],
  ['discard', { filter: 'all' }],
  ['discard', { filter: [] }],
  ['discard', { filter: { errorname: 'TypeError' } }],
  ['retry', { filter: { until: 'now' } }],
  ['strike', {}],
  ['strike', { parameter: 'p' }],
  ['strike', { parameter: 'p', value: { odd: true } }],
  ['strike', { parameter: 'p', value: [1, 2, 3] }],
])('%s refuses %j', async (name, body) => {
  expect(await change(name, body)).toMatchObject({ status: 400, calls: [] });
});

const REPORT = { removed: 3, stopping: 1, missed: 0 };

test('executions are cancelled by a filter, up to a bound, and the answer says how many and whether there may be more', async () => {
  const filter = { task: 't', state: 'queued', where: 'customerId=c-1' };
  const { status, message, calls, lines } = await change('cancel-many', filter, REPORT);
  expect([status, message]).toEqual([200, 'Cancelled 4 executions: 3 had not started, 1 asked to stop.']);
  expect(calls).toEqual([
    [
      {
        task: 't',
        state: 'queued',
        where: { customerId: 'c-1' },
        limit: 10_000,
        signal: expect.any(AbortSignal),
      },
    ],
  ]);
  expect(lines).toMatchObject([{ message: 'dashboard: cancel-many', fields: { given: filter, outcome: message } }]);
});

test.each([
  [{ removed: 9_999, stopping: 1, missed: 0 }, true],
  [{ removed: 9_999, stopping: 0, missed: 0 }, false],
])('a cancel by a filter that comes to %j says whether more may match: %s', async (report, isMore) => {
  expect((await change('cancel-many', { task: 't' }, report)).body).toMatchObject({ isMore });
});

test('a cancel by a filter that fails half-way says so, and is logged', async () => {
  const { body, lines } = await change('cancel-many', { task: 't' }, new RedisUnavailableError('redis is away'));
  expect(body).toEqual({ code: 'DOCKET_REDIS_UNAVAILABLE', message: 'redis is away' });
  expect(lines).toMatchObject([{ level: 'warn', message: 'dashboard: cancel-many failed' }]);
});

test('a change that fails in an outage is logged in one plain line, without the stacks of the client of Redis', async () => {
  const cause = Object.assign(new Error('Reached the max retries'), { name: 'MaxRetriesPerRequestError' });
  const { status, lines } = await change(
    'strike',
    { task: 't' },
    new RedisUnavailableError('redis is away', { cause }),
  );
  expect(status).toBe(503);
  const given = { task: 't' };
  expect(lines).toEqual([
    {
      level: 'warn',
      message: 'dashboard: strike failed',
      fields: { docket: 'shop', given, user: null, address: null, problem: 'redis is away' },
    },
  ]);
});

test('a change that fails is logged, too', async () => {
  const { status, lines } = await change('strike', { task: 't' }, new InvalidOptionError('task', 'is odd'));
  expect(status).toBe(400);
  expect(lines).toMatchObject([
    { level: 'warn', message: 'dashboard: strike failed', fields: { given: { task: 't' } } },
  ]);
});
