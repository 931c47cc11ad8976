import { expect, test, vi } from 'vitest';
import type { LiveJson } from '../../../src/dashboard/api.js';
import { makeApp } from '../../../src/dashboard/server/app.js';
import { EMPTY_SNAPSHOT, fakeSettings, fakeSource } from '../../support/fake-source.js';

/** Opens the stream of events, and reads them one by one. */
async function openLive(app: ReturnType<typeof makeApp>) {
  const response = await app.request('/api/live');
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let text = '';
  const next = async (): Promise<{ event: string; data: LiveJson }> => {
    for (;;) {
      const end = text.indexOf('\n\n');
      if (end >= 0) {
        const block = text.slice(0, end);
        text = text.slice(end + 2);
        const [, event] = /^event: (.*)$/m.exec(block) ?? [];
        const [, data] = /^data: (.*)$/m.exec(block) ?? [];
        if (event) return { event, data: JSON.parse(data!) };
        continue;
      }
      const { value, done } = await reader.read();
      if (done) throw new Error('the stream has ended');
      text += decoder.decode(value, { stream: true });
    }
  };
  return { next, status: response.status, close: () => reader.cancel() };
}

function running(count: number) {
  return Array.from({ length: count }, (_, i) => ({ key: `k${i}`, task: 't', attempt: 1, worker: 'w', since: null }));
}

test('all pages share one look at the docket, hear only of changes, and nothing looks when no page is open', async () => {
  let looks = 0;
  let count = 1;
  const snapshot = async () => {
    looks += 1;
    return { ...EMPTY_SNAPSHOT, taken: new Date(looks), running: running(count) };
  };
  const app = makeApp(fakeSource({ snapshot }), fakeSettings().settings);
  const first = await openLive(app);
  expect(await first.next()).toMatchObject({ event: 'live', data: { revision: 1, running: [{ key: 'k0' }] } });
  const second = await openLive(app);
  expect((await second.next()).data.revision).toBe(1);
  expect(looks).toBe(1);
  await vi.waitUntil(() => looks >= 2, { timeout: 20_000 }); // nothing has changed by then
  count = 2;
  const [a, b] = await Promise.all([first.next(), second.next()]);
  expect([a.data.revision, b.data.running.length]).toEqual([2, 2]);
  await first.close();
  await second.close();
  const before = looks;
  const third = await openLive(app);
  await third.next();
  expect(looks - before).toBeLessThanOrEqual(2);
  await third.close();
});

test('pages hear that Redis is down, and the whole state once it is back', async () => {
  let isDown = true;
  const snapshot = async () => {
    if (isDown) throw new Error('the link is down');
    return EMPTY_SNAPSHOT;
  };
  const app = makeApp(fakeSource({ snapshot }), fakeSettings().settings);
  const page = await openLive(app);
  expect(await page.next()).toEqual({ event: 'down', data: { message: 'the link is down' } });
  isDown = false;
  let event = await page.next();
  while (event.event === 'down') event = await page.next();
  expect(event).toMatchObject({ event: 'live', data: { totals: { running: 0 } } });
  await page.close();
});

test('no more than two hundred pages are followed', async () => {
  const app = makeApp(fakeSource({}), fakeSettings().settings);
  const open = await Promise.all(Array.from({ length: 200 }, () => openLive(app)));
  expect(new Set(open.map(({ status }) => status))).toEqual(new Set([200]));
  expect((await app.request('/api/live')).status).toBe(503);
  await Promise.all(open.map(({ close }) => close()));
});

test('pages hear of an outage in words that are not about the client of Redis', async () => {
  const snapshot = async () => {
    throw Object.assign(new Error('Reached the max retries per request limit'), { name: 'MaxRetriesPerRequestError' });
  };
  const page = await openLive(makeApp(fakeSource({ snapshot }), fakeSettings().settings));
  expect(await page.next()).toEqual({
    event: 'down',
    data: { message: 'Redis cannot be reached: the link is down' },
  });
  await page.close();
});
