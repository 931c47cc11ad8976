import { expect, test } from 'vitest';
import { type AttemptFailure, decide, timeoutErrorOf } from '../../../src/tasks/decide.js';
import { exponentialRetry, retry } from '../../../src/tasks/policies.js';

const threw: AttemptFailure = { kind: 'threw', isRetryable: true };
const again = (delayMs: number) => ({ kind: 'retry', due: { delayMs } });

test('without a retry policy, one failed attempt fails the execution', () => {
  expect(decide({}, 1, threw)).toEqual({ kind: 'failed' });
  expect(decide({}, 1, { kind: 'requested-retry', due: { delayMs: 5 } })).toEqual({ kind: 'failed' });
});

test('the number of attempts includes the first one', () => {
  const policies = { retry: retry({ attempts: 3, delay: 20 }) };
  expect([1, 2, 3, 4].map((attempt) => decide(policies, attempt, threw))).toEqual([
    again(20),
    again(20),
    { kind: 'failed' },
    { kind: 'failed' },
  ]);
  expect(decide({ retry: retry({ attempts: 1 }) }, 1, threw)).toEqual({ kind: 'failed' });
});

test('a policy that retries forever retries any attempt', () => {
  expect(decide({ retry: retry({ attempts: 'forever' }) }, 1_000_000, threw)).toEqual(again(0));
});

test('exponential delays double until they reach the maximum', () => {
  const policies = { retry: exponentialRetry({ attempts: 99, minimumDelay: '1s', maximumDelay: '5s' }) };
  const delays = [1, 2, 3, 4, 80].map((attempt) => decide(policies, attempt, threw));
  expect(delays).toEqual([1_000, 2_000, 4_000, 5_000, 5_000].map(again));
});

test('a delay whose factor overflows is the maximum', () => {
  const policies = { retry: exponentialRetry({ attempts: 'forever', maximumDelay: '5s' }) };
  expect(decide(policies, 5_000, threw)).toEqual(again(5_000));
});

test('jitter shortens a delay and never lengthens it', () => {
  const policies = { retry: exponentialRetry({ attempts: 9, minimumDelay: 1_000, maximumDelay: 1_000, jitter: 0.4 }) };
  const delays = [0, 0.5, 1].map((random) => decide(policies, 1, threw, () => random));
  expect(delays).toEqual([1_000, 800, 600].map(again));
});

test('a retry that the body requests has its own delay, and counts as an attempt', () => {
  const policies = { retry: retry({ attempts: 2, delay: '1h' }) };
  expect(decide(policies, 1, { kind: 'requested-retry', due: { delayMs: 7 } })).toEqual(again(7));
  expect(decide(policies, 2, { kind: 'requested-retry', due: { delayMs: 7 } })).toEqual({ kind: 'failed' });
});

test('an error that the next attempt would only meet again is not retried', () => {
  expect(decide({ retry: retry() }, 1, { kind: 'threw', isRetryable: false })).toEqual({ kind: 'failed' });
});

test('the error of an attempt that took too long names the task and its timeout', () => {
  expect(timeoutErrorOf('charge', 250)).toMatchObject({
    code: 'DOCKET_TIMEOUT',
    message: "task 'charge' took longer than its timeout of 250 ms",
  });
});
