import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SlotTable } from '../../../../src/channel/slots.js';
import { TaskCounters } from '../../../../src/observe/task-counters.js';
import { AttemptRecorder } from '../../../../src/worker/watch/attempt-recorder.js';
import { EventLoopWatch } from '../../../../src/worker/watch/event-loop-watch.js';
import { SummaryLogger } from '../../../../src/worker/watch/summary-logger.js';
import { recordingLogger } from '../../../support/logger.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp() {
  const counters = new TaskCounters();
  counters.addTasks(['charge']);
  const { logger, lines } = recordingLogger();
  const summary = new SummaryLogger(counters, new AttemptRecorder(counters, new SlotTable(1), []), logger);
  const ran = (ms: number, outcome: 'succeeded' | 'failed' | 'retried') => {
    counters.of('charge').started += 1;
    counters.of('charge')[outcome] += 1;
    counters.recent.add(ms);
  };
  summary.start();
  return { summary, counters, lines, ran };
}

test('what ran is logged every ten seconds, and nothing when nothing did', async () => {
  const { summary, lines, ran } = setUp();
  vi.advanceTimersByTime(30_000);
  expect(lines).toEqual([]);
  ran(8, 'succeeded');
  ran(8, 'retried');
  vi.advanceTimersByTime(10_000);
  ran(1_000, 'failed');
  vi.advanceTimersByTime(10_000);
  expect(lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
    'info 2 started, 1 succeeded, 0 failed, 1 retried',
    'info 1 started, 0 succeeded, 1 failed, 0 retried',
  ]);
  const [first, second] = lines.map(({ fields }) => fields as { p50Ms: number; p99Ms: number });
  expect(first!.p99Ms).toBeGreaterThan(7);
  expect(first!.p99Ms).toBeLessThan(9);
  expect(second!.p50Ms).toBeGreaterThan(900); // what was logged before does not count again
  await summary.stop();
  expect(lines.length).toBe(2);
});

test('executions that did not run are counted, without durations', async () => {
  const { summary, counters, lines } = setUp();
  counters.of('charge').cancelled += 2;
  counters.of('charge').stricken += 1;
  await summary.stop();
  expect(lines).toEqual([
    expect.objectContaining({
      message: '0 started, 0 succeeded, 0 failed, 0 retried, 2 cancelled or dropped, 1 struck',
    }),
  ]);
  expect(lines[0]!.fields).not.toHaveProperty('p50Ms');
});

test('what ran last is logged when the worker stops', async () => {
  const { summary, lines, ran } = setUp();
  ran(1, 'succeeded');
  await summary.stop();
  expect(lines.map(({ message }) => message)).toEqual(['1 started, 1 succeeded, 0 failed, 0 retried']);
});

test('a loop that is on time has no delay and warns of nothing', async () => {
  vi.useRealTimers();
  const { logger, lines } = recordingLogger();
  const watch = new EventLoopWatch({ logger, warnsAfterMs: 1_000, probeEveryMs: 250 });
  watch.start();
  expect(watch.delayMs).toBe(0);
  await watch.stop();
  expect([watch.delayMs, lines]).toEqual([0, []]);
});
