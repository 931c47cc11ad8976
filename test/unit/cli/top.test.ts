/** How `docket top` draws: what fits, what is counted instead, and what a terminal must not obey. */
import { expect, test } from 'vitest';
import { draw } from '../../../src/cli/top/draw.js';
import type { Picture, RunningExecution } from '../../../src/cli/top/picture.js';

const TAKEN = new Date('2030-01-31T12:00:00Z');
const NO_COUNTS = { started: 0, succeeded: 0, retried: 0, failed: 0, waiting: null, duration: null };
const PERCENTILES = { p50Ms: 5, p95Ms: 40, p99Ms: 1_500 };
const PLAIN = { title: 'docket', problem: null, columns: 160, rows: Infinity, hasColours: false };

function pictureOf(change: Partial<Picture> = {}): Picture {
  const minutes = Array.from({ length: 15 }, (_, i) => ({ at: new Date(TAKEN.getTime() + i * 60_000), ...NO_COUNTS }));
  const totals = { queued: 0, scheduled: 0, waiting: 0, paused: 0, running: 0, failures: 0 };
  return { taken: TAKEN, totals, oldestQueuedMs: 0, minutes, tasks: [], running: [], workers: [], ...change };
}

function running(count: number, change: Partial<RunningExecution> = {}): RunningExecution[] {
  return Array.from({ length: count }, (_, i) => ({
    ...{ key: `key-${i}`, task: 'resize', attempt: 1, priority: 'normal' as const, worker: 'w1', progress: null },
    since: new Date(TAKEN.getTime() - 1_000 * (count - i)),
    ...change,
  }));
}

test('a picture of an idle docket has the totals and the rates, and no empty lists', () => {
  const lines = draw(pictureOf(), PLAIN).split('\n');
  expect(lines[0]).toBe('docket  2030-01-31T12:00:00Z');
  expect(lines[1]).toBe('queued 0   scheduled 0   waiting 0   running 0');
  expect(lines[3]).toMatch(/^started {3}▁{15} {2}0 a minute +0 in 15 minutes$/);
  expect(lines).toHaveLength(7);
});

test('a picture tells the age of the queue, rates, times, tasks, progress and load', () => {
  const counts = { started: 60, succeeded: 50, retried: 6, failed: 4, waiting: PERCENTILES, duration: PERCENTILES };
  const minutes = pictureOf().minutes.map((minute, i) => (i === 13 ? { ...minute, ...counts } : minute));
  const byMinute = { startedByMinute: minutes.map(({ started }) => started), failedByMinute: [] };
  const progress = { current: 50, total: 200, message: 'page 50', updatedAt: TAKEN };
  const picture = pictureOf({
    minutes,
    totals: { queued: 3, scheduled: 2, waiting: 1, paused: 0, running: 2, failures: 5 },
    oldestQueuedMs: 4_200,
    tasks: [{ task: 'resize', ...counts, ...byMinute }],
    running: running(2, { progress: progress as never, attempt: 2 }),
    workers: [
      {
        ...{ name: 'w1', id: 'w1:1', threads: 4, concurrency: 8, running: 2, tasks: [], hasFallback: false },
        ...{ version: '1.0.0', nodeVersion: 'v20.19.0' },
        ...{ lastSeen: new Date(TAKEN.getTime() - 500), expiresAt: TAKEN },
      },
    ],
  });
  const text = draw(picture, PLAIN);
  expect(text).toContain('queued 3 (the next for 4.2s)   scheduled 2   waiting 1   running 2   failures kept 5');
  expect(text).toMatch(/^failed {4}▁{13}█▁ {2}4 a minute +4 in 15 minutes$/m);
  expect(text).toContain('waited 5ms 40ms 1.5s   took 5ms 40ms 1.5s   (p50 p95 p99)');
  expect(text).toMatch(/^resize +2 +2\.0s +60 +4 +40ms +40ms +▁{13}█▁$/m);
  expect(text).toMatch(/^key-0 +resize +w1 +2\.0s +attempt 2 +████░{12} {2}25% page 50$/m);
  expect(text).toMatch(/^w1 +4 +2 of 8 +25% +500ms ago$/m);
});

test.each([
  [24, 80],
  [12, 40],
  [5, 20],
  [1, 10],
])('a picture never has more than %i lines or %i columns', (rows, columns) => {
  const picture = pictureOf({
    totals: { queued: 0, scheduled: 0, waiting: 0, paused: 0, running: 500, failures: 0 },
    running: running(100, { key: 'a key that is longer than a terminal is wide'.repeat(3) }),
  });
  const lines = draw(picture, { ...PLAIN, rows, columns }).split('\n');
  expect(lines.length).toBeLessThanOrEqual(rows);
  expect(lines.filter((line) => [...line].length > columns)).toEqual([]);
});

test('what does not fit is counted, and so is what was not read', () => {
  const picture = pictureOf({
    totals: { queued: 0, scheduled: 0, waiting: 0, paused: 0, running: 500, failures: 0 },
    running: running(100),
  });
  expect(draw(picture, PLAIN)).toContain('\nand 480 more executions');
  expect(draw(picture, { ...PLAIN, rows: 24 })).toMatch(/^and 49\d more executions$/m);
  expect(draw(picture, PLAIN)).toMatch(/^task +of 100 /m);
});

test('the first line says why a picture is an old one', () => {
  const [first] = draw(pictureOf(), { ...PLAIN, problem: 'Redis does not answer' }).split('\n');
  expect(first).toBe('Redis does not answer; this is of 2030-01-31T12:00:00Z  docket');
});

test('a terminal obeys nothing that is in a key, a message or the name of a task', () => {
  const evil = '\u001b[2J\u0007\r\nevil';
  const progress = { current: 1, total: 2, message: evil, updatedAt: TAKEN } as never;
  const text = draw(pictureOf({ running: running(1, { key: evil, task: evil, worker: evil, progress }) }), PLAIN);
  expect(text).not.toMatch(/[^\P{Cc}\n]/u);
  expect(text.match(/evil/g)).toHaveLength(5);
});

test('the rate counts the minute that goes on, so that a flood is seen at once', () => {
  const minutes = pictureOf().minutes.map((minute, i) => (i === 14 ? { ...minute, failed: 2_000 } : minute));
  const taken = new Date(minutes[14]!.at.getTime() + 20_000);
  expect(draw(pictureOf({ minutes, taken }), PLAIN)).toMatch(/^failed .* {2}1500 a minute +2000 in 15 minutes$/m);
});

test('the running executions of a task are called running when all of them were read, even if one has just ended', () => {
  const totals = { queued: 0, scheduled: 0, waiting: 0, paused: 0, running: 3, failures: 0 };
  expect(draw(pictureOf({ totals, running: running(2) }), PLAIN)).toMatch(/^task +running /m);
});
