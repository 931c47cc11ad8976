import { availableParallelism, hostname } from 'node:os';
import { expect, test } from 'vitest';
import { InvalidOptionError, ModuleReferenceRequiredError } from '../../../src/core/errors.js';
import { collection } from '../../../src/tasks/collection.js';
import { task } from '../../../src/tasks/task.js';
import { resolveWorkerOptions, type WorkerOptions } from '../../../src/worker/options.js';

test('without options there is one thread per core, each runs one at a time, and all defaults apply', () => {
  expect(resolveWorkerOptions({})).toEqual({
    tasks: { kind: 'modules', references: [] },
    fallback: null,
    name: `${hostname()}#${process.pid}`,
    threads: availableParallelism(),
    concurrency: availableParallelism(),
    leaseMs: 30_000,
    longestPauseMs: 2_000,
    connectTimeoutMs: null,
    longestReadMs: 2_000,
    schedulingResolutionMs: 5_000,
    schedulesAutomaticTasks: true,
    keepsArguments: false,
    failureBounds: { ttlMs: 604_800_000, maxCount: 10_000, maxBytes: 268_435_456 },
    writesHistory: true,
    drainTimeoutMs: 25_000,
    abortGraceMs: 1_000,
    maxDeliveries: 5,
    maxTasksPerThread: Number.POSITIVE_INFINITY,
    maxThreadMemoryMb: null,
    partitions: null,
    healthcheckPort: null,
    metricsPort: null,
    httpHost: '127.0.0.1',
  });
});

test.each(['healthcheckPort', 'metricsPort'] as const)('%s is a port, 0 for any', (option) => {
  for (const port of [0, 80, 65_535]) expect(resolveWorkerOptions({ [option]: port })[option]).toBe(port);
  for (const port of [-1, 65_536, 1.5, Number.NaN, '80' as never]) {
    expect(() => resolveWorkerOptions({ [option]: port })).toThrow(InvalidOptionError);
  }
});

test.each([
  [{ threads: 4 }, { threads: 4, concurrency: 4 }],
  [
    { threads: 2, concurrency: 7 },
    { threads: 2, concurrency: 7 },
  ],
  [
    { threads: 8, concurrency: 3 },
    { threads: 3, concurrency: 3 },
  ], // a thread more could never run anything
  [{ threads: 0 }, { threads: 0, concurrency: 1 }],
  [
    { threads: 0, concurrency: 9 },
    { threads: 0, concurrency: 9 },
  ],
] satisfies [WorkerOptions, object][])('%o makes %o', (options, expected) => {
  expect(resolveWorkerOptions(options)).toMatchObject(expected);
});

test('durations are taken in all their forms', () => {
  const options = { redeliveryTimeout: '2m', minimumCheckInterval: 50, drainTimeout: '1.5s', abortGrace: 0 } as const;
  expect(resolveWorkerOptions(options)).toMatchObject({
    leaseMs: 120_000,
    longestReadMs: 50,
    drainTimeoutMs: 1_500,
    abortGraceMs: 0,
  });
});

test.each([
  ['threads', -1],
  ['threads', 1.5],
  ['threads', Number.NaN],
  ['concurrency', 0],
  ['concurrency', '4'],
  ['concurrency', 100_001], // more than a slot table has rows
  ['reconnectionDelay', 0],
  ['redeliveryTimeout', '99ms'], // renewals every third of it would not keep up
  ['redeliveryTimeout', '30'],
  ['minimumCheckInterval', 0], // BLOCK 0 blocks for ever
  ['schedulingResolution', 0],
  ['drainTimeout', -1],
  ['abortGrace', 'soon'],
  ['maxDeliveries', 0],
])('%s: %o is refused by name', (option, value) => {
  const resolve = () => resolveWorkerOptions({ [option]: value } as WorkerOptions);
  expect(resolve).toThrow(InvalidOptionError);
  expect(resolve).toThrow(new RegExp(`^${option}: `));
});

test('modules are named by path, URL or package, one or several', () => {
  const references = (tasks: WorkerOptions['tasks']) => resolveWorkerOptions({ tasks: tasks!, threads: 1 }).tasks;
  expect(references('./a.js:b')).toEqual({ kind: 'modules', references: ['./a.js:b'] });
  expect(references(new URL('file:///a.js'))).toEqual({ kind: 'modules', references: ['file:///a.js'] });
  expect(references(['pkg', new URL('file:///a.js')])).toEqual({
    kind: 'modules',
    references: ['pkg', 'file:///a.js'],
  });
});

test('task values need threads: 0', () => {
  const hello = task('hello', () => {});
  const tasks = collection(hello);
  expect(resolveWorkerOptions({ tasks, threads: 0 }).tasks).toEqual({
    kind: 'values',
    tasks: new Map([['hello', hello]]),
  });
  expect(() => resolveWorkerOptions({ tasks, threads: 1 })).toThrow(ModuleReferenceRequiredError);
  expect(() => resolveWorkerOptions({ tasks })).toThrow(/^tasks: .*Export the collection from a module/);
});

test.each(['scheduleAutomaticTasks', 'keepArguments', 'history'] as const)(
  '%s is true or false, not text',
  (option) => {
    const options = { [option]: 'no' } as unknown as WorkerOptions;
    expect(() => resolveWorkerOptions(options)).toThrow(`${option}: expected true or false, got 'no'`);
  },
);

test('a number that was given as text is shown in quotes', () => {
  const options = { maxDeliveries: '3' } as unknown as WorkerOptions;
  expect(() => resolveWorkerOptions(options)).toThrow("maxDeliveries: expected a whole number >= 1, got '3'");
});

test('failures are kept for a time, up to a number and up to a size; with no time, none are', () => {
  const options = { failureTtl: '1h', maxFailures: 5, maxFailureBytes: 1_000 } as const;
  const failureBounds = { ttlMs: 3_600_000, maxCount: 5, maxBytes: 1_000 };
  expect(resolveWorkerOptions(options)).toMatchObject({ failureBounds });
  expect(resolveWorkerOptions({ ...options, failureTtl: 0 })).toMatchObject({ failureBounds: null });
  for (const wrong of [{ failureTtl: -1 }, { maxFailures: 0 }, { maxFailures: 1.5 }, { maxFailureBytes: 0 }]) {
    expect(() => resolveWorkerOptions(wrong)).toThrow(InvalidOptionError);
  }
});
