import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SlotTable } from '../../src/core/slots.js';
import { Tally } from '../../src/observe/tally.js';
import { LoopWatch } from '../../src/worker/loop-watch.js';
import { Meter } from '../../src/worker/meter.js';
import { ServerClock } from '../../src/worker/server-clock.js';
import { Summary } from '../../src/worker/summary.js';
import { recordingLogger } from '../support/fleet.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp() {
  const tally = new Tally();
  tally.know(['charge']);
  const { logger, lines } = recordingLogger();
  const summary = new Summary(tally, new Meter(tally, new SlotTable(1), [], new ServerClock()), logger);
  const ran = (ms: number, outcome: 'succeeded' | 'failed' | 'retried') => {
    tally.of('charge').started += 1;
    tally.of('charge')[outcome] += 1;
    tally.recent.add(ms);
  };
  summary.start();
  return { summary, lines, ran };
}

test('what ran is told every ten seconds, and nothing when nothing did', async () => {
  const { summary, lines, ran } = setUp();
  vi.advanceTimersByTime(30_000);
  expect(lines).toEqual([]);
  ran(8, 'succeeded');
  ran(8, 'retried');
  vi.advanceTimersByTime(10_000);
  ran(1_000, 'failed');
  vi.advanceTimersByTime(10_000);
  expect(lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
    'info 2 started, 1 succeeded, 0 failed, 1 tried again',
    'info 1 started, 0 succeeded, 1 failed, 0 tried again',
  ]);
  const [first, second] = lines.map(({ fields }) => fields as { p50Ms: number; p99Ms: number });
  expect(first!.p99Ms).toBeGreaterThan(7);
  expect(first!.p99Ms).toBeLessThan(9);
  expect(second!.p50Ms).toBeGreaterThan(900); // what was told before does not count again
  await summary.stop();
  expect(lines.length).toBe(2);
});

test('what ran last is told when the worker stops', async () => {
  const { summary, lines, ran } = setUp();
  ran(1, 'succeeded');
  await summary.stop();
  expect(lines.map(({ message }) => message)).toEqual(['1 started, 1 succeeded, 0 failed, 0 tried again']);
});

test('a loop that is on time has no delay and warns of nothing', async () => {
  vi.useRealTimers();
  const { logger, lines } = recordingLogger();
  const watch = new LoopWatch({ logger, warnsAfterMs: 1_000 });
  watch.start();
  expect(watch.delayMs).toBe(0);
  await watch.stop();
  expect([watch.delayMs, lines]).toEqual([0, []]);
});
