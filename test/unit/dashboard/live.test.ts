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

test('a request without a body to answer with follows nothing', async () => {
  let looks = 0;
  const snapshot = async () => {
    looks += 1;
    return EMPTY_SNAPSHOT;
  };
  const app = makeApp(fakeSource({ snapshot }), fakeSettings().settings);
  for (let i = 0; i < 201; i++) {
    expect((await app.request('/api/live', { method: 'HEAD' })).status).toBe(200);
  }
  expect(looks).toBe(0);
  const page = await openLive(app);
  expect((await page.next()).event).toBe('live');
  await page.close();
});

test('a page that does not read gets the newest state once it does, and none of those in between', async () => {
  let count = 0;
  const snapshot = async () => {
    count += 1;
    return { ...EMPTY_SNAPSHOT, running: running(count) };
  };
  const app = makeApp(fakeSource({ snapshot }), fakeSettings().settings);
  const page = await openLive(app);
  const response = await app.request('/api/live'); // the loop goes on while nobody reads this one
  const slow = response.body!.getReader();
  await vi.waitUntil(() => count >= 4, { timeout: 20_000 });
  const first = new TextDecoder().decode((await slow.read()).value);
  const second = new TextDecoder().decode((await slow.read()).value);
  const revisionOf = (text: string) => JSON.parse(/^data: (.*)$/m.exec(text)![1]!).revision as number;
  expect(first.match(/^data:/gm)).toHaveLength(1);
  expect(revisionOf(first)).toBe(1);
  expect(revisionOf(second)).toBeGreaterThanOrEqual(3);
  await slow.cancel();
  await page.close();
});

test('a page that takes nothing for a minute, or whose request is aborted, is not followed any more', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    let looks = 0;
    const snapshot = async () => {
      looks += 1;
      return { ...EMPTY_SNAPSHOT, running: running(looks) };
    };
    const app = makeApp(fakeSource({ snapshot }), fakeSettings().settings);
    const aborting = new AbortController();
    await app.request(new Request('http://localhost/api/live', { signal: aborting.signal }));
    await vi.advanceTimersByTimeAsync(1_000);
    aborting.abort();
    const before = looks;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(looks).toBe(before);

    const stuck = (await app.request('/api/live')).body!;
    await vi.advanceTimersByTimeAsync(65_000);
    const after = looks;
    expect(after).toBeGreaterThan(before + 10);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(looks).toBe(after);
    await expect(stuck.getReader().read()).rejects.toThrow('the page takes no events');
  } finally {
    vi.useRealTimers();
  }
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
