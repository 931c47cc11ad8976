import { expect, onTestFinished, test } from 'vitest';
import type { RetryControl } from '../../../src/tasks/context.js';
import type { Execution } from '../../../src/tasks/execution.js';
import { retry } from '../../../src/tasks/retry.js';
import { task } from '../../../src/tasks/task.js';
import { setUp } from '../../support/executor.js';
import { deferred } from '../../support/wait.js';

const KEPT_MS = 60_000;

/** Returns the handle of a body that runs until `end`, with a docket that has `found` under its key. */
async function handleOf(found: Partial<Execution<unknown>> | null, ttlMs = KEPT_MS) {
  const asked: string[] = [];
  const handles: Execution<unknown>[] = [];
  const ending = deferred();
  const look = task('look', async (args: { n: number; list: number[] }, ctx) => {
    args.list.push(9);
    handles.push(ctx.execution);
    expect(ctx.execution).toBe(ctx.execution);
    await ending.promise;
  });
  const docket = {
    getExecution: async (key: string) => {
      asked.push(`get ${key}`);
      return found as Execution<unknown> | null;
    },
    cancel: async (key: string) => {
      asked.push(`cancel ${key}`);
      return { state: 'running', outcome: 'stopping' } as const;
    },
  };
  const { outcomeOf } = setUp([look], { docket });
  const outcome = outcomeOf('look', { n: 1, list: [] }, ttlMs);
  const end = async () => {
    ending.resolve();
    expect(await outcome).toMatchObject({ kind: 'completed' });
  };
  onTestFinished(end);
  return { handle: handles[0]!, asked, end };
}

test('the handle of the running execution has its fields without asking Redis', async () => {
  const before = Date.now();
  const { handle, asked } = await handleOf(null);
  expect(handle).toMatchObject({
    key: 'id-0',
    task: 'look',
    args: { n: 1, list: [] }, // as they were added, whatever the body did to its own
    when: new Date(1),
    disposition: 'scheduled',
    attempt: 1,
    state: 'running',
    worker: 'w',
    completedAt: null,
    error: null,
  });
  expect(handle.startedAt!.getTime()).toBeGreaterThanOrEqual(before - 1);
  expect(handle.startedAt!.getTime()).toBeLessThanOrEqual(Date.now() + 1);
  expect(asked).toEqual([]);
});

test('sync reads the fields again', async () => {
  const completedAt = new Date();
  const { handle, asked } = await handleOf({ state: 'completed', worker: 'other', completedAt, attempt: 2 });
  await handle.sync();
  expect(handle).toMatchObject({ state: 'completed', worker: 'other', completedAt, attempt: 2, key: 'id-0' });
  expect(asked).toEqual(['get id-0']);
});

test('result waits for the result of the docket', async () => {
  const options = { timeout: 5 };
  const { handle } = await handleOf({ result: async (given) => [given, 'done'] });
  expect(await handle.result(options)).toEqual([options, 'done']);
});

test('cancel calls the cancel of the docket', async () => {
  const { handle, asked } = await handleOf(null);
  expect(await handle.cancel()).toEqual({ state: 'running', outcome: 'stopping' });
  expect(asked).toEqual(['cancel id-0']);
});

test('an execution whose record is gone is reported as not found', async () => {
  const { handle } = await handleOf(null);
  await expect(handle.sync()).rejects.toMatchObject({ code: 'DOCKET_EXECUTION_NOT_FOUND', key: 'id-0' });
  await expect(handle.result()).rejects.toMatchObject({ code: 'DOCKET_EXECUTION_NOT_FOUND' });
});

test('an execution without an executionTtl has nothing to read and no result', async () => {
  const { handle } = await handleOf(null, 0);
  await handle.sync();
  expect(handle.state).toBe('running');
  await expect(handle.result()).rejects.toMatchObject({ code: 'DOCKET_RESULTS_DISABLED' });
});

test('the handle changes nothing after the attempt has ended, because its key may be the next run’s then', async () => {
  const { handle, asked, end } = await handleOf({});
  await end();
  const ended = {
    name: 'AttemptEndedError',
    code: 'DOCKET_ATTEMPT_ENDED',
    message: expect.stringContaining("of 'id-0' had ended"),
  };
  await expect(handle.cancel()).rejects.toMatchObject(ended);
  await expect(handle.progress.increment()).rejects.toMatchObject(ended);
  await expect(handle.progress.setTotal(3)).rejects.toMatchObject(ended);
  await expect(handle.progress.setMessage('late')).rejects.toMatchObject(ended);
  expect(asked).toEqual([]);
});

test('a retry that is requested after the attempt has ended says that it comes too late', async () => {
  let kept: RetryControl | undefined;
  const leaves = task('leaves', { retry: retry({ attempts: 3 }) }, (_args: {}, ctx) => {
    kept = ctx;
  });
  const { outcomeOf } = setUp([leaves]);
  await outcomeOf('leaves');
  expect(() => kept!.retry.after('1s')).toThrow(/^ctx\.retry was used after the attempt of 'id-0' had ended/);
  expect(() => kept!.retry.at(new Date())).toThrow(/had ended/);
});
