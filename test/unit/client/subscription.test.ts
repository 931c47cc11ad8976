/** The order of events and readings, which come over two connections. */
import { expect, test } from 'vitest';
import { Subscription, type SubscriptionSource } from '../../../src/client/subscription.js';
import { ExecutionNotFoundError, RedisUnavailableError } from '../../../src/core/errors.js';
import type { ExecutionState } from '../../../src/core/states.js';
import { parseEvent, type RecordEvent } from '../../../src/redis/events.js';
import type { ExecutionRecord } from '../../../src/redis/record.js';
import type { ExecutionEvent } from '../../../src/tasks/events.js';
import { type Deferred, deferred } from '../../support/wait.js';

const GENERATION = 5_000_000;

function record(state: ExecutionState, current: number, readUs: number): ExecutionRecord {
  const progress = { current, total: 100, message: null, updatedMs: current > 0 ? current : null };
  const none = {
    worker: null,
    waitingFor: null,
    startedMs: null,
    completedMs: null,
    result: null,
    error: null,
    errorLine: null,
  };
  const common = { generation: GENERATION, task: 't', dueMs: 5_000, attempt: 1, message: null };
  return { state, ...common, ...none, progress, readUs };
}

const stateEvent = (state: ExecutionState, us: number, generation = GENERATION) =>
  `${generation} ${state} ${us}\n\n\n\n\n\n`;
const progressEvent = (current: number, us: number, message = '') =>
  `${GENERATION} progress ${us}\n${current}\n100\n${us}\n${message}`;

const parse = (event: string) => parseEvent(Buffer.from(event));

/** A subscription whose readings and events the test supplies. */
function setUp(isLeft = false) {
  const readings: Deferred<ExecutionRecord | null>[] = [];
  const [closing, leaving] = [new AbortController(), new AbortController()];
  if (isLeft) leaving.abort();
  let publish: (event: RecordEvent | null) => void = () => {};
  let isWatching = false;
  const source: SubscriptionSource = {
    key: 'k',
    generation: GENERATION,
    read: () => {
      const reading = deferred<ExecutionRecord | null>();
      readings.push(reading);
      return reading.promise;
    },
    watch: async (onEvent) => {
      publish = onEvent;
      isWatching = true;
      return () => {
        isWatching = false;
      };
    },
    place: () => null,
    closed: closing.signal,
    left: leaving.signal,
  };
  const subscription = new Subscription(source);
  const emitted: string[] = [];
  const ended = (async () => {
    for await (const event of { [Symbol.asyncIterator]: () => subscription }) emitted.push(shown(event));
  })();
  ended.catch(() => {}); // reported where it is awaited
  return {
    emitted,
    ended,
    closing,
    leaving,
    isWatching: () => isWatching,
    publish: async (...events: (string | null)[]) => {
      await turn();
      for (const event of events) publish(event === null ? null : parse(event));
      await turn();
    },
    answer: async (reading: ExecutionRecord | null | Error) => {
      await turn();
      const next = readings.shift()!;
      if (reading instanceof Error) next.reject(reading);
      else next.resolve(reading);
      await turn();
    },
  };
}

const turn = () => new Promise(setImmediate);

function shown(event: ExecutionEvent): string {
  return event.type === 'state' ? event.state : String(event.current);
}

test('events that come before the first reading follow it, unless it has them', async () => {
  const { emitted, publish, answer } = setUp();
  await publish(stateEvent('running', 10), progressEvent(1, 20), stateEvent('scheduled', 40));
  await answer(record('running', 2, 30));
  expect(emitted).toEqual(['running', '2', 'scheduled', '0']);
});

test('a reading that is older than an event is left out', async () => {
  const { emitted, publish, answer } = setUp();
  await answer(record('running', 0, 10));
  await publish(null, progressEvent(5, 30));
  await answer(record('running', 4, 20));
  expect(emitted).toEqual(['running', '0', '5']);
});

test('an event that is older than a reading is left out', async () => {
  const { emitted, publish, answer } = setUp();
  await answer(record('running', 0, 10));
  await publish(null);
  await answer(record('running', 5, 30));
  await publish(progressEvent(4, 20), progressEvent(6, 40));
  expect(emitted).toEqual(['running', '0', '5', '6']);
});

test('an end is emitted whatever the clock of the server does', async () => {
  const [byEvent, byReading] = [setUp(), setUp()];
  for (const { answer } of [byEvent, byReading]) await answer(record('running', 0, 100));
  await byEvent.publish(stateEvent('completed', 50));
  await byReading.publish(null);
  await byReading.answer(record('completed', 7, 50));
  await Promise.all([byEvent.ended, byReading.ended]);
  expect([byEvent.emitted, byReading.emitted]).toEqual([
    ['running', '0', 'completed'],
    ['running', '0', '7', 'completed'],
  ]);
  expect([byEvent.isWatching(), byReading.isWatching()]).toEqual([false, false]);
});

test('progress starts at 0 with the next attempt, and only then', async () => {
  const { emitted, publish, answer } = setUp();
  await answer(record('scheduled', 1, 10));
  await publish(stateEvent('queued', 20), stateEvent('running', 30), progressEvent(5, 40));
  await publish(stateEvent('scheduled', 50), stateEvent('queued', 60), progressEvent(2, 70), stateEvent('running', 80));
  expect(emitted).toEqual(['scheduled', '1', 'queued', 'running', '5', 'scheduled', '0', 'queued', '2', 'running']);
});

test('nothing is emitted twice', async () => {
  const { emitted, publish, answer } = setUp();
  await answer(record('running', 2, 10));
  await publish(null, progressEvent(2, 10), stateEvent('running', 10));
  await answer(record('running', 2, 20));
  expect(emitted).toEqual(['running', '2']);
});

test('an event of an older generation is left out, one of a newer generation ends the subscription', async () => {
  const { emitted, ended, publish, answer } = setUp();
  await answer(record('queued', 0, 10));
  await publish(stateEvent('completed', 20, GENERATION - 1));
  expect(emitted).toEqual(['queued', '0']);
  await publish(stateEvent('queued', 30, GENERATION + 1));
  await ended;
  expect(emitted).toEqual(['queued', '0']);
});

test('a reading that fails with its connection is repeated; any other failure ends the subscription', async () => {
  const { emitted, ended, publish, answer, isWatching } = setUp();
  await answer(new RedisUnavailableError('away'));
  await publish(null);
  await answer(record('queued', 0, 10));
  await publish(null);
  await answer(new ExecutionNotFoundError('k'));
  await expect(ended).rejects.toThrow(ExecutionNotFoundError);
  expect(emitted).toEqual(['queued', '0']);
  expect(isWatching()).toBe(false);
});

test('ends with the docket', async () => {
  const { ended, closing, answer, isWatching } = setUp();
  await answer(record('queued', 0, 10));
  closing.abort();
  await ended;
  expect(isWatching()).toBe(false);
});

test('ends without an error when its signal aborts, also while nothing happens', async () => {
  const { emitted, ended, leaving, answer, isWatching } = setUp();
  await answer(record('queued', 0, 10));
  leaving.abort(new Error('left'));
  await ended;
  expect([emitted, isWatching()]).toEqual([['queued', '0'], false]);
});

test('is not opened when its signal has aborted before', async () => {
  const { emitted, ended, leaving, isWatching } = setUp(true);
  expect(leaving.signal.aborted).toBe(true);
  await ended;
  expect([emitted, isWatching()]).toEqual([[], false]);
});

test('an event is parsed as it was written', () => {
  expect(parse(progressEvent(3, 9, 'two\nlines'))).toEqual({
    generation: GENERATION,
    timeUs: 9,
    kind: 'progress',
    progress: { current: 3, total: 100, updatedMs: 9, message: 'two\nlines' },
  });
  expect(parse('7000 failed 9\n1\n2\n3\n4\nw 1\nError: x')).toEqual({
    generation: 7_000,
    timeUs: 9,
    kind: 'state',
    state: 'failed',
    dueMs: 1,
    startedMs: 2,
    completedMs: 3,
    attempt: 4,
    worker: 'w 1',
    errorLine: 'Error: x',
    outcome: null,
  });
  expect(parse(stateEvent('queued', 9))).toMatchObject({
    dueMs: 5_000,
    attempt: 1,
    worker: null,
    errorLine: null,
  });
});
