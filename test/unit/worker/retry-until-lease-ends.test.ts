import { expect, test } from 'vitest';
import { monotonicMs } from '../../../src/core/clock.js';
import { type RetryOptions, retryUntilLeaseEnds } from '../../../src/worker/retry-until-lease-ends.js';
import { linkOf } from './links.js';

/** Fails `failures` times, each with its number, then returns how often it was tried. */
function attemptThatFails(failures: number): () => Promise<number> {
  let attempts = 0;
  return async () => {
    attempts += 1;
    if (attempts <= failures) throw new Error(`attempt ${attempts}`);
    return attempts;
  };
}

function retry(failures: number, options: Partial<RetryOptions> = {}) {
  const retried: string[] = [];
  const onRetry = (error: unknown) => retried.push((error as Error).message);
  const defaults: RetryOptions = { link: linkOf(), leaseMs: 10_000, pauseMs: 1, canRetry: () => true, onRetry };
  return { retried, result: retryUntilLeaseEnds(attemptThatFails(failures), { ...defaults, ...options }) };
}

test('what succeeds at once is not tried again', async () => {
  const { retried, result } = retry(0);
  expect(await result).toBe(1);
  expect(retried).toEqual([]);
});

test('what fails is tried again until it succeeds, and each failure is told', async () => {
  const { retried, result } = retry(3);
  expect(await result).toBe(4);
  expect(retried).toEqual(['attempt 1', 'attempt 2', 'attempt 3']);
});

test('between two attempts there is a pause', async () => {
  const startMs = monotonicMs();
  await retry(3, { pauseMs: 20 }).result;
  expect(monotonicMs() - startMs).toBeGreaterThanOrEqual(3 * 0.8 * 20 - 3); // spread by a fifth; timers round
});

test('when the lease is over the last error is final', async () => {
  const startMs = monotonicMs();
  const { retried, result } = retry(Number.POSITIVE_INFINITY, { leaseMs: 50, pauseMs: 5 });
  await expect(result).rejects.toThrow(/^attempt \d+$/);
  expect(monotonicMs() - startMs).toBeGreaterThan(50);
  expect(retried.length).toBeGreaterThan(0);
});

test('an attempt that cannot be repeated fails with its own error, at once', async () => {
  const { retried, result } = retry(5, { canRetry: () => false });
  await expect(result).rejects.toThrow('attempt 1');
  expect(retried).toEqual([]);
});

test('whether it can be repeated is asked after each failure', async () => {
  const failures: unknown[] = [];
  const onRetry = (error: unknown) => failures.push(error);
  const { result } = retry(5, { canRetry: () => failures.length < 3, onRetry });
  await expect(result).rejects.toThrow('attempt 3');
});

test('whether it can be repeated is asked again after the pause', async () => {
  let isClosed = false;
  const onRetry = () => setImmediate(() => (isClosed = true));
  const { result } = retry(5, { canRetry: () => !isClosed, onRetry, pauseMs: 50 });
  await expect(result).rejects.toThrow('attempt 1');
});

test.each([
  'NOREPLICAS Not enough good replicas to write.',
  'MISCONF Errors writing to the AOF file',
  'OOM command not allowed',
])('while the server refuses all writes no lease ends (%s)', async (refusal) => {
  const beganMs = monotonicMs();
  let refusals = 0;
  const attempt = async () => {
    if (monotonicMs() - beganMs > 100) return 'written';
    refusals += 1;
    throw new Error(refusal);
  };
  const options = { link: linkOf(), leaseMs: 20, pauseMs: 5, canRetry: () => true, onRetry: () => {} };
  expect(await retryUntilLeaseEnds(attempt, options)).toBe('written');
  expect(refusals).toBeGreaterThan(1);
});
