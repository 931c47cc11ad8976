/** Runs the bodies of tasks alone, with no server. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { InvalidArgumentsError, RetriesExhaustedError, TimeoutError } from '../../../src/core/errors.js';
import { depends, shared } from '../../../src/tasks/dependencies.js';
import { cron, exponentialRetry, perpetual, retry } from '../../../src/tasks/policies.js';
import { task } from '../../../src/tasks/task.js';
import { runTask } from '../../../src/testing/run-task.js';

const NOW = new Date('2027-01-01T00:00:00Z');

describe('the end of an attempt', () => {
  test('is the result, as a caller decodes it', async () => {
    const at = task('at', ({ when }: { when: Date }) => ({ when, extra: undefined }));
    const run = await runTask(at, { when: NOW });
    expect(run).toMatchObject({ outcome: 'completed', result: { when: NOW }, next: null });
  });

  test('is the very error that was thrown', async () => {
    const problem = new TypeError('no');
    const run = await runTask(
      task('broken', () => {
        throw problem;
      }),
    );
    expect(run.outcome).toBe('failed');
    expect(run.error).toBe(problem);
  });

  test('is an error of the input for arguments that do not match it', async () => {
    const sized = task('sized', { input: z.object({ size: z.number().max(3) }) }, ({ size }) => size);
    expect((await runTask(sized, { size: 2 })).result).toBe(2);
    const run = await runTask(sized, { size: 9 });
    expect([run.outcome, run.error]).toEqual(['failed', expect.any(InvalidArgumentsError)]);
  });

  test('is a TimeoutError when it takes longer than its timeout', async () => {
    const slow = task('slow', { timeout: '5ms' }, async (_args: {}, { signal }) => {
      signal.throwIfAborted(); // on a busy machine the time may be over before the body begins
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    expect((await runTask(slow)).error).toBeInstanceOf(TimeoutError);
  });

  test('is a cancel or an interruption when it was asked to stop', async () => {
    const patient = task('patient', (_args: {}, ctx) => {
      ctx.throwIfCancelled();
    });
    expect((await runTask(patient, {}, { cancelled: true })).outcome).toBe('cancelled');
    const stopped = await runTask(patient, {}, { cancelled: true, stopReason: 'interrupted' });
    expect([stopped.outcome, stopped.next]).toEqual(['interrupted', null]);
  });

  test('comes when the signal of the test aborts', async () => {
    const stopping = new AbortController();
    const waiting = task('waiting', async (_args: {}, { signal }) => {
      stopping.abort();
      signal.throwIfAborted();
    });
    expect((await runTask(waiting, {}, { signal: stopping.signal })).outcome).toBe('cancelled');
  });
});

test.each([
  [[7], "args: task 'any' takes one object with named fields, got number"],
  [[null], "args: task 'any' takes one object with named fields, got null"],
  [[{}, { signal: 7 }], 'signal: expected an AbortSignal, got 7'],
  [[{}, { docket: { add: () => {} } }], 'docket: expected a recording docket'],
])('runTask refuses %j', async (rest, problem) => {
  const any = task('any', () => {});
  await expect(runTask(any, ...(rest as never[]))).rejects.toThrow(problem);
});

describe('what follows', () => {
  const flaky = task('flaky', { retry: exponentialRetry({ attempts: 3, minimumDelay: '10s' }) }, () => {
    throw new Error('not yet');
  });

  test('is a retry after the delay of the policy, as long as attempts are left', async () => {
    const second = await runTask(flaky, {}, { attempt: 2, when: NOW });
    expect(second.outcome).toBe('retry');
    expect(second.next).toEqual({
      kind: 'retry',
      attempt: 3,
      afterMs: 20_000,
      when: new Date(NOW.getTime() + 20_000),
      args: {},
    });
    const third = await runTask(flaky, {}, { attempt: 3 });
    expect([third.outcome, third.next]).toEqual(['failed', null]);
  });

  test('is the retry that the body asks for, and an error that says so on the last attempt', async () => {
    const choosy = task('choosy', { retry: retry({ attempts: 2 }) }, (_args: {}, ctx) => ctx.retry.after('1h'));
    expect((await runTask(choosy)).next?.afterMs).toBe(3_600_000);
    expect((await runTask(choosy, {}, { attempt: 2 })).error).toBeInstanceOf(RetriesExhaustedError);
  });

  test('is the next run of a chain, at the time and with the arguments that the body asks for', async () => {
    const sweep = task('sweep', { perpetual: perpetual({ every: '10m' }) }, ({ from }: { from: number }, ctx) => {
      if (from === 9) ctx.perpetual.cancel();
      if (from > 0) ctx.perpetual.perpetuate({ from: from + 1 });
    });
    expect((await runTask(sweep, { from: 0 }, { when: NOW })).next).toMatchObject({ kind: 'run', afterMs: 600_000 });
    expect((await runTask(sweep, { from: 1 })).next?.args).toEqual({ from: 2 });
    expect((await runTask(sweep, { from: 9 })).next).toBeNull();
  });

  test('is the next match of a cron expression', async () => {
    const nightly = task('nightly', { perpetual: cron('0 3 * * *') }, () => {});
    const { next } = await runTask(nightly, {}, { when: NOW });
    expect(next?.when).toEqual(new Date('2027-01-01T03:00:00Z'));
  });
});

describe('the context', () => {
  test('has what the test gives it', async () => {
    const about = task('about', (_args: {}, ctx) => [ctx.key, ctx.attempt, ctx.redelivered, ctx.when]);
    const run = await runTask(about, {}, { key: 'k', attempt: 4, redelivered: true, when: NOW });
    expect(run.result).toEqual(['k', 4, true, NOW]);
  });

  test('records progress, lines, and what is added and cancelled', async () => {
    const busy = task('busy', async (_args: {}, ctx) => {
      ctx.logger.warn({ n: 1 }, 'half');
      ctx.progress.setTotal(8);
      ctx.progress.increment(3);
      ctx.progress.setMessage('on it');
      await ctx.docket.add('other', { n: 1 }, { key: 'o', when: '5m' });
      await ctx.docket.add('other', { n: 2 }, { key: 'gone' });
      await ctx.docket.cancel('gone');
    });
    const run = await runTask(busy, {}, { when: NOW });
    expect(run.progress).toEqual({ current: 3, total: 8, message: 'on it' });
    expect(run.logs).toMatchObject([{ level: 'warn', message: 'half', fields: { n: 1, task: 'busy', attempt: 1 } }]);
    const when = new Date(NOW.getTime() + 300_000);
    expect(run.added).toEqual([{ task: 'other', args: { n: 1 }, key: 'o', when, addedAt: NOW }]);
    expect(run.cancelled).toEqual(['gone']);
  });
});

describe('dependencies', () => {
  const steps: string[] = [];
  const pool = shared(async function* () {
    steps.push('open');
    yield { query: (text: string) => `real ${text}` };
    steps.push('close');
  });
  const repository = depends((_args: {}, { db }) => ({ find: () => db.query('all') }), { uses: { db: pool } });
  const list = task('list', { uses: { repository, db: pool } }, (_args: {}, ctx) => {
    return [ctx.repository.find(), ctx.db.query('one')];
  });

  test('are made and cleaned up as a worker does', async () => {
    expect((await runTask(list)).result).toEqual(['real all', 'real one']);
    expect(steps.splice(0)).toEqual(['open', 'close']);
  });

  test('are replaced at any depth by the values of the test, which are not disposed', async () => {
    let isDisposed = false;
    const db = {
      query: (text: string) => `fake ${text}`,
      [Symbol.dispose]: () => {
        isDisposed = true;
      },
    };
    expect((await runTask(list, {}, { dependencies: { db } })).result).toEqual(['fake all', 'fake one']);
    expect([steps, isDisposed]).toEqual([[], false]);
  });

  test('fail the attempt when a factory fails, and a name that none has is refused', async () => {
    const broken = depends(() => Promise.reject(new Error('no route')));
    const user = task('user', { uses: { broken } }, () => {});
    expect(String((await runTask(user)).error)).toContain("dependencies of 'user' failed: broken (Error: no route)");
    await expect(runTask(user, {}, { dependencies: { brokn: 1 } })).rejects.toThrow(
      "dependencies.brokn: task 'user' uses no dependency of this name",
    );
  });
});
