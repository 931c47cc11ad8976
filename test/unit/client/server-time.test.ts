import type { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { resolveDocketOptions } from '../../../src/client/options.js';
import { CallPreparer } from '../../../src/client/prepare.js';
import { ServerTime } from '../../../src/client/server-time.js';
import { cron } from '../../../src/tasks/policies.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'Date'] }));
afterEach(() => void vi.useRealTimers());

/** A server whose clock says one time after the other, each time it is asked; an Error is a link that is down. */
function serverOf(...answers: (number | Error)[]): ServerTime {
  const time = async () => {
    const answer = answers.shift()!;
    if (answer instanceof Error) throw answer;
    return [String(answer / 1_000), '0'];
  };
  return new ServerTime((commands) => commands({ time } as unknown as Redis));
}

test("the server's clock is asked once in a while, and followed in between", async () => {
  const server = serverOf(5_000_000, 9_000_000);
  expect(await Promise.all([server.nowMs(), server.nowMs()])).toEqual([5_000_000, 5_000_000]);
  vi.advanceTimersByTime(9_000);
  expect(await server.nowMs()).toBe(5_009_000);
  vi.advanceTimersByTime(2_000);
  expect(await server.nowMs()).toBe(9_000_000);
});

test('it is asked again at once when it could not be read', async () => {
  const server = serverOf(new Error('the link is down'), 7_000);
  await expect(server.nowMs()).rejects.toThrow('the link is down');
  expect(await server.nowMs()).toBe(7_000);
});

test("a schedule begins at the first match after the server's time, whatever the clock of this process says", async () => {
  vi.setSystemTime(new Date('2031-01-01'));
  const server = serverOf(Date.parse('2030-06-01T08:59:00Z'));
  const preparer = new CallPreparer(resolveDocketOptions({ url: 'redis://localhost:1' }), server);
  const call = await preparer.prepare('report', {}, { key: 'k', perpetual: cron('0 9 * * *') });
  expect(call.due).toEqual({ atMs: Date.parse('2030-06-01T09:00:00Z') });
});
