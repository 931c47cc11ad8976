import type { Redis } from 'ioredis';
import { expect, test, vi } from 'vitest';
import { TaskCounters } from '../../../../src/observe/task-counters.js';
import { keysOf } from '../../../../src/redis/keys.js';
import { ServerClock } from '../../../../src/worker/fleet/server-clock.js';
import { HistoryWriter } from '../../../../src/worker/watch/history-writer.js';
import { stopTime } from '../../../support/fake-time.js';
import { recordingLogger } from '../../../support/logger.js';
import { deferred } from '../../../support/wait.js';

stopTime();

function setUp() {
  const sent: string[][] = [];
  const server = { isAway: false, answer: Promise.resolve() };
  const redis = {
    options: {},
    callBuffer: async (_command: string, args: unknown[]) => {
      if (server.isAway) throw new Error('no connection');
      sent.push(args.slice(5).map(String)); // behind the digest, the number of keys, and the keys
      await server.answer;
      return 1;
    },
  } as unknown as Redis;
  const counters = new TaskCounters();
  counters.addTasks(['t']);
  const threads = { begun: 0 };
  const { logger, lines } = recordingLogger();
  const writer = new HistoryWriter({
    ...{ redis, keys: keysOf('d'), consumer: 'w:1', clock: new ServerClock(), logger, counters, intervalMs: 2_000 },
    attempts: { onThreads: () => new Map([['t', { begun: threads.begun, running: 0 }]]) },
  });
  writer.start();
  return { writer, counters, sent, server, lines, threads };
}

/** What is sent of `t` after the total, which is the same. */
const page = (number: number, tally: string) => [String(number), '', tally, 't', tally];

test('each interval sends what was counted in it, and nothing when nothing was', async () => {
  const { writer, counters, sent } = setUp();
  await vi.advanceTimersByTimeAsync(4_000);
  expect(sent).toEqual([]);
  counters.of('t').started += 2;
  await vi.advanceTimersByTimeAsync(2_000);
  counters.of('t').succeeded += 2;
  await vi.advanceTimersByTimeAsync(6_000);
  expect(sent).toEqual([page(1, '{"b":2}'), page(2, '{"s":2}')]);
  await writer.stop();
  expect(sent).toHaveLength(2);
});

test('an attempt counts as started when it begins, and not again when it leaves its thread', async () => {
  const { writer, counters, sent, threads } = setUp();
  threads.begun = 1;
  await vi.advanceTimersByTimeAsync(2_000);
  threads.begun = 0;
  await vi.advanceTimersByTimeAsync(2_000); // between the two places
  counters.of('t').started += 1;
  await vi.advanceTimersByTimeAsync(2_000);
  expect(sent).toEqual([page(1, '{"b":1}')]);
  await writer.stop();
});

test('while the server is away, what was taken stays as it is, and the rest follows when it is back', async () => {
  const { writer, counters, sent, server, lines } = setUp();
  server.isAway = true;
  for (let i = 0; i < 10; i++) {
    counters.of('t').started += 1;
    await vi.advanceTimersByTimeAsync(2_000);
  }
  server.isAway = false;
  await vi.advanceTimersByTimeAsync(2_000);
  expect(sent).toEqual([page(1, '{"b":1}'), page(2, '{"b":9}')]);
  expect(lines[0]!.message).toMatch(/^writing the history failed, trying again/);
  await writer.stop();
});

test('a writer that is stopped while it waits for an answer still sends what was counted meanwhile', async () => {
  const { writer, counters, sent, server } = setUp();
  const answer = deferred();
  server.answer = answer.promise;
  counters.of('t').started += 1;
  await vi.advanceTimersByTimeAsync(2_000);
  const stopped = writer.stop();
  counters.of('t').started += 2;
  answer.resolve();
  await stopped;
  expect(sent).toEqual([page(1, '{"b":1}'), page(2, '{"b":2}')]);
});

test('a writer that is stopped while it waits says once that its last counts are missing', async () => {
  const { writer, counters, server, lines } = setUp();
  const answer = deferred();
  server.answer = answer.promise;
  counters.of('t').started += 1;
  await vi.advanceTimersByTimeAsync(2_000);
  const stopped = writer.stop();
  server.isAway = true;
  answer.reject(new Error('the connection is closed'));
  await stopped;
  expect(lines.map(({ message }) => message)).toEqual([expect.stringMatching(/last counts/)]);
});

test('what could not be sent for an hour is dropped: the server may have forgotten that it has it', async () => {
  const { writer, counters, sent, server } = setUp();
  server.isAway = true;
  counters.of('t').started += 1;
  await vi.advanceTimersByTimeAsync(2_000);
  counters.of('t').started += 2;
  await vi.advanceTimersByTimeAsync(3_700_000); // an hour, and the longest time until the next try, which varies
  server.isAway = false;
  counters.of('t').started += 4;
  await vi.advanceTimersByTimeAsync(4_000);
  // When the hour is over, and so which page has the 2 and which the 4, depends on the varied times between the tries.
  expect(sent[0]![0]).toBe('2');
  expect(sent.reduce((sum, [, , counts]) => sum + JSON.parse(counts as string).b, 0)).toBe(6);
  await writer.stop();
});
