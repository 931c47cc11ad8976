import { expect, test } from 'vitest';
import type { FindingsJson, ValueCountsJson } from '../../../src/dashboard/api.js';
import { makeApp } from '../../../src/dashboard/server/app.js';
import { fakeSettings, fakeSource } from '../../support/fake-source.js';

function asker(docket: object, more = {}) {
  const { settings, lines } = fakeSettings();
  const app = makeApp(fakeSource(docket, more), settings);
  return { lines, ask: async (path: string) => await app.request(`/api/${path}`) };
}

test('counts show the values that a task names in logged, and count the others together', async () => {
  const workers = async () => [{ logged: { sync: ['customerId'] } }];
  const counts = [
    { task: 'sync', value: 'c-7', count: 30 },
    { task: 'charge', value: 'secret-1', count: 12 },
    { task: 'charge', value: 'secret-2', count: 9 },
    { task: 'sync', value: 8n, count: 2 },
    { task: 'sync', count: 1 },
  ];
  const asked: object[] = [];
  const count = async ({ signal: _, ...options }: { signal: AbortSignal }) => {
    asked.push(options);
    return { counts, others: 0, lookedAt: 54, isWhole: true };
  };
  const { ask } = asker({ count }, { workers });
  const text = await (await ask('value-counts?by=customerId&task=&state=queued')).text();
  expect(text).not.toContain('secret');
  expect(JSON.parse(text)).toEqual({
    counts: [
      { task: 'sync', count: 30, value: { json: 'c-7', text: 'c-7' }, hiddenValues: 0 },
      { task: 'charge', count: 21, value: null, hiddenValues: 2 },
      { task: 'sync', count: 2, value: { json: { bigint: '8' }, text: '8' }, hiddenValues: 0 },
      { task: 'sync', count: 1, value: null, hiddenValues: 0 },
    ],
    ...{ more: 0, lookedAt: 54, isWhole: true },
  } satisfies ValueCountsJson);
  expect(asked).toEqual([{ lookAt: 100_000, state: 'queued', by: 'customerId' }]);
});

test('at most a hundred counts are listed, and it says how many more there are', async () => {
  const counts = Array.from({ length: 10_000 }, (_, i) => ({ task: `task-${i}`, count: 10_000 - i }));
  const { ask } = asker({ count: async () => ({ counts, others: 0, lookedAt: 1, isWhole: false }) });
  const { counts: listed, more } = (await (await ask('value-counts')).json()) as ValueCountsJson;
  expect([listed.length, more]).toEqual([100, 9_900]);
});

test('what the client says of a broken link is answered as an outage, and is no error of the dashboard', async () => {
  const workers = async () => {
    throw new Error('Connection is closed.');
  };
  const { ask, lines } = asker({}, { workers });
  const response = await ask('workers');
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ message: 'Redis cannot be reached: the link is down' });
  expect(lines).toEqual([]);
});

test('a finding that the server cannot be reached is not kept, others are for a while', async () => {
  let isDown = true;
  let examined = 0;
  const findings = async () => {
    examined += 1;
    return [{ check: isDown ? 'connection' : 'memory', status: 'fail', detail: 'd', advice: 'a' }];
  };
  const { ask } = asker({}, { findings });
  const checks = async () =>
    ((await (await ask('findings')).json()) as FindingsJson).findings.map(({ check }) => check);
  expect(await checks()).toEqual(['connection']);
  isDown = false;
  expect(await checks()).toEqual(['memory']);
  isDown = true;
  expect(await checks()).toEqual(['memory']);
  expect(examined).toBe(2);
});

test('the findings are made again after a change', async () => {
  let examined = 0;
  const findings = async () => {
    examined += 1;
    return [];
  };
  const app = makeApp(fakeSource({ pause: async () => {} }, { findings }), fakeSettings().settings);
  await app.request('/api/findings');
  await app.request('/api/findings');
  expect(examined).toBe(1);
  const { csrf } = (await (await app.request('/api/session')).json()) as { csrf: string };
  const headers = { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin', 'x-docket-csrf': csrf };
  await app.request('/api/pause', { method: 'POST', headers, body: JSON.stringify({ task: 'charge' }) });
  await app.request('/api/findings');
  expect(examined).toBe(2);
});
