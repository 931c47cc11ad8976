import { expect, test } from 'vitest';
import { type BodyEnd, decide, timeoutErrorOf } from '../../../src/tasks/decide.js';
import { exponentialRetry, retry } from '../../../src/tasks/policies.js';

const threw: BodyEnd = { kind: 'threw', isRetryable: true };
const again = (delayMs: number) => ({ kind: 'retry', due: { delayMs } });

test('what returned is completed, whatever its policies', () => {
  expect(decide({ retry: retry() }, 1, { kind: 'returned' })).toEqual({ kind: 'completed' });
});

test('without a policy one failed attempt is the end', () => {
  expect(decide({}, 1, threw)).toEqual({ kind: 'failed' });
  expect(decide({}, 1, { kind: 'asked', due: { delayMs: 5 } })).toEqual({ kind: 'failed' });
});

test('attempts are counted in total, the first included', () => {
  const policies = { retry: retry({ attempts: 3, delay: 20 }) };
  expect([1, 2, 3, 4].map((attempt) => decide(policies, attempt, threw))).toEqual([
    again(20),
    again(20),
    { kind: 'failed' },
    { kind: 'failed' },
  ]);
  expect(decide({ retry: retry({ attempts: 1 }) }, 1, threw)).toEqual({ kind: 'failed' });
});

test('forever is for ever', () => {
  expect(decide({ retry: retry({ attempts: 'forever' }) }, 1_000_000, threw)).toEqual(again(0));
});

test('exponential delays double up to the maximum', () => {
  const policies = { retry: exponentialRetry({ attempts: 99, minimumDelay: '1s', maximumDelay: '5s' }) };
  const delays = [1, 2, 3, 4, 80].map((attempt) => decide(policies, attempt, threw));
  expect(delays).toEqual([1_000, 2_000, 4_000, 5_000, 5_000].map(again));
});

test('an attempt so high that the factor overflows still waits the maximum', () => {
  const policies = { retry: exponentialRetry({ attempts: 'forever', maximumDelay: '5s' }) };
  expect(decide(policies, 5_000, threw)).toEqual(again(5_000));
});

test('jitter shortens a delay and never lengthens it', () => {
  const policies = { retry: exponentialRetry({ attempts: 9, minimumDelay: 1_000, maximumDelay: 1_000, jitter: 0.4 }) };
  const delays = [0, 0.5, 1].map((random) => decide(policies, 1, threw, () => random));
  expect(delays).toEqual([1_000, 800, 600].map(again));
});

test('what the body asks for comes before the delay of the policy, and counts', () => {
  const policies = { retry: retry({ attempts: 2, delay: '1h' }) };
  expect(decide(policies, 1, { kind: 'asked', due: { delayMs: 7 } })).toEqual(again(7));
  expect(decide(policies, 2, { kind: 'asked', due: { delayMs: 7 } })).toEqual({ kind: 'failed' });
});

test('what the next attempt would only meet again is not retried', () => {
  expect(decide({ retry: retry() }, 1, { kind: 'threw', isRetryable: false })).toEqual({ kind: 'failed' });
});

test('an attempt that took too long is said to have done so, by name and time', () => {
  expect(timeoutErrorOf('charge', 250)).toMatchObject({
    code: 'DOCKET_TIMEOUT',
    message: "task 'charge' took longer than its timeout of 250 ms",
  });
});
