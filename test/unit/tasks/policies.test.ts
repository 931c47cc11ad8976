import { expect, test } from 'vitest';
import { InvalidOptionError } from '../../../src/core/errors.js';
import {
  concurrencyLimit,
  cooldown,
  cron,
  debounce,
  exponentialRetry,
  perpetual,
  rateLimit,
  resolvePolicies,
  retry,
} from '../../../src/tasks/policies.js';

test('retry makes three attempts without delay by default', () => {
  expect(retry()).toEqual({
    kind: 'retry',
    attempts: 3,
    minimumDelayMs: 0,
    maximumDelayMs: 0,
    factor: 1,
    jitter: 0,
  });
});

test('retry waits the same delay each time', () => {
  expect(retry({ attempts: 5, delay: '2s' })).toMatchObject({
    minimumDelayMs: 2_000,
    maximumDelayMs: 2_000,
    factor: 1,
  });
});

test('exponentialRetry doubles its delay from 1 s to 64 s by default', () => {
  expect(exponentialRetry()).toEqual({
    kind: 'retry',
    attempts: 3,
    minimumDelayMs: 1_000,
    maximumDelayMs: 64_000,
    factor: 2,
    jitter: 0,
  });
});

test('attempts without a limit are null in the data', () => {
  expect(retry({ attempts: 'forever' }).attempts).toBeNull();
  expect(exponentialRetry({ attempts: 'forever' }).attempts).toBeNull();
});

test('a policy is plain data that cannot be changed', () => {
  const policy = exponentialRetry({ jitter: 0.5 });
  expect(structuredClone(policy)).toEqual(policy);
  expect(Object.isFrozen(policy)).toBe(true);
});

test.each([
  ['retry.attempts', () => retry({ attempts: 0 })],
  ['retry.attempts', () => retry({ attempts: 1.5 })],
  ['retry.attempts', () => retry({ attempts: Number.NaN })],
  ['retry.attempts', () => retry({ attempts: 'always' as never })],
  ['retry.delay', () => retry({ delay: -1 })],
  ['retry.delay', () => retry({ delay: 'soon' as never })],
  ['exponentialRetry.attempts', () => exponentialRetry({ attempts: -1 })],
  ['exponentialRetry.minimumDelay', () => exponentialRetry({ minimumDelay: Number.NaN })],
  ['exponentialRetry.maximumDelay', () => exponentialRetry({ minimumDelay: '2s', maximumDelay: '1s' })],
  ['exponentialRetry.maximumDelay', () => exponentialRetry({ minimumDelay: '2m' })],
  ['exponentialRetry.jitter', () => exponentialRetry({ jitter: 1.1 })],
  ['exponentialRetry.jitter', () => exponentialRetry({ jitter: Number.NaN })],
])('a retry policy with an invalid %s is refused at the declaration', (option, declare) => {
  expect(declare).toThrow(InvalidOptionError);
  expect(declare).toThrow(expect.objectContaining({ option }));
});

test('perpetual runs again at once by default, and is not started by workers', () => {
  expect(perpetual()).toEqual({ kind: 'perpetual', everyMs: 0, isAutomatic: false });
  expect(perpetual({ every: '5m', automatic: true })).toEqual({
    kind: 'perpetual',
    everyMs: 300_000,
    isAutomatic: true,
  });
});

test('cron normalizes its expression, and keeps the time zone as it was given', () => {
  expect(cron('  0  9 * * MON-FRI ', { timezone: 'Europe/Berlin' })).toEqual({
    kind: 'cron',
    expression: '0 9 * * MON-FRI',
    timezone: 'Europe/Berlin',
    isAutomatic: false,
  });
  expect(cron('@daily', { timezone: 'UTC', automatic: true }).isAutomatic).toBe(true);
});

test('cron uses UTC by default, whatever the time zone of the host', () => {
  const host = process.env.TZ;
  try {
    process.env.TZ = 'Asia/Tokyo';
    expect(cron('@daily')).toMatchObject({ timezone: 'UTC' });
  } finally {
    if (host === undefined) delete process.env.TZ;
    else process.env.TZ = host;
  }
});

test('a limit counts each value of an argument, or the task as a whole', () => {
  expect(concurrencyLimit('customerId')).toEqual({
    kind: 'concurrency',
    argument: 'customerId',
    max: 1,
    scope: null,
  });
  expect(concurrencyLimit({ max: 10, scope: 'crawl' })).toEqual({
    kind: 'concurrency',
    argument: null,
    max: 10,
    scope: 'crawl',
  });
  expect(rateLimit('customerId', { max: 2, per: '1s' })).toEqual({
    kind: 'rate',
    argument: 'customerId',
    max: 2,
    perMs: 1_000,
    onExceeded: 'delay',
  });
  expect(rateLimit({ max: 2, per: 500, onExceeded: 'drop' })).toMatchObject({ argument: null, onExceeded: 'drop' });
  expect(cooldown('x', { window: '1m' })).toEqual({ kind: 'cooldown', argument: 'x', windowMs: 60_000 });
  expect(cooldown({ window: 1 })).toEqual({ kind: 'cooldown', argument: null, windowMs: 1 });
  expect(debounce('x', { settle: '5s' })).toEqual({ kind: 'debounce', argument: 'x', settleMs: 5_000 });
  expect(debounce({ settle: '5s' })).toEqual({ kind: 'debounce', argument: null, settleMs: 5_000 });
});

test.each([
  ['perpetual.every', () => perpetual({ every: -1 })],
  ['perpetual.automatic', () => perpetual({ automatic: 1 as never })],
  ['cron.expression', () => cron('every day')],
  ['cron.expression', () => cron('')],
  ['cron.expression', () => cron(null as never)],
  ['cron.expression', () => cron('* * * * * * *')],
  ['cron.expression', () => cron('60 * * * *')],
  ['cron.expression', () => cron('@reboot')],
  ['cron.expression', () => cron('2030-01-01T00:00:00')],
  ['cron.expression', () => cron('0 0 30 2 *')],
  ['cron.timezone', () => cron('@daily', { timezone: 'Mars/Olympus' })],
  ['cron.timezone', () => cron('@daily', { timezone: '' })],
  ['cron.timezone', () => cron('@daily', { timezone: 1 as never })],
  ['cron.automatic', () => cron('@daily', { automatic: 'yes' as never })],
  ['concurrencyLimit.argument', () => concurrencyLimit('')],
  ['concurrencyLimit.argument', () => concurrencyLimit(undefined as never)],
  ['concurrencyLimit.argument', () => concurrencyLimit('\ud800')],
  ['concurrencyLimit.max', () => concurrencyLimit('x', { max: 0 })],
  ['concurrencyLimit.max', () => concurrencyLimit('x', { max: 1.5 })],
  ['concurrencyLimit.max', () => concurrencyLimit({ max: '2' as never })],
  ['concurrencyLimit.scope', () => concurrencyLimit('x', { scope: '' })],
  ['concurrencyLimit.scope', () => concurrencyLimit('x', { scope: null as never })],
  ['concurrencyLimit.scope', () => concurrencyLimit('x', { scope: 'ü'.repeat(65) })],
  ['concurrencyLimit.scope', () => concurrencyLimit('x', { scope: '\udc00' })],
  ['rateLimit.argument', () => rateLimit('', { max: 1, per: 1 })],
  ['rateLimit.max', () => rateLimit('x', { max: -1, per: 1 })],
  ['rateLimit.max', () => rateLimit('x', undefined as never)],
  ['rateLimit.per', () => rateLimit({ max: 1, per: 0 })],
  ['rateLimit.per', () => rateLimit({ max: 1 } as never)],
  ['rateLimit.onExceeded', () => rateLimit({ max: 1, per: 1, onExceeded: 'wait' as never })],
  ['cooldown.window', () => cooldown({ window: 0 })],
  ['cooldown.window', () => cooldown('x', { window: -5 })],
  ['debounce.settle', () => debounce({ settle: 0.2 })],
  ['debounce.settle', () => debounce('x', { settle: 'soon' as never })],
  ['retry', () => resolvePolicies({ retry: { attempts: 3 } as never })],
  ['retry', () => resolvePolicies({ retry: null as never })],
  ['retry', () => resolvePolicies({ retry: perpetual() as never })],
  ['perpetual', () => resolvePolicies({ perpetual: { every: '5m' } as never })],
  ['perpetual', () => resolvePolicies({ perpetual: retry() as never })],
  ['timeout', () => resolvePolicies({ timeout: 0 })],
  ['timeout', () => resolvePolicies({ timeout: '1w' as never })],
  ['limits', () => resolvePolicies({ limits: concurrencyLimit('x') as never })],
  ['limits[1]', () => resolvePolicies({ limits: [concurrencyLimit('x'), { max: 3 } as never] })],
  ['limits[0]', () => resolvePolicies({ limits: [null as never] })],
  ['limits[1]', () => resolvePolicies({ limits: [concurrencyLimit('x'), concurrencyLimit('x', { max: 2 })] })],
  ['limits[1]', () => resolvePolicies({ limits: [concurrencyLimit({ max: 1 }), concurrencyLimit({ max: 2 })] })],
  ['limits[1]', () => resolvePolicies({ limits: [cooldown({ window: 1 }), cooldown({ window: 2 })] })],
  ['limits[1]', () => resolvePolicies({ limits: [debounce({ settle: 1 }), debounce('x', { settle: 2 })] })],
  ['limits', () => resolvePolicies({ perpetual: perpetual(), limits: [debounce('x', { settle: 1 })] })],
])('a policy with an invalid %s is refused at the declaration', (option, declare) => {
  expect(declare).toThrow(InvalidOptionError);
  expect(declare).toThrow(expect.objectContaining({ option }));
});

test('the policies of a task are plain data that cannot be changed', () => {
  const limits = [concurrencyLimit('a', { max: 2 }), rateLimit({ max: 1, per: '1s' })];
  const policies = resolvePolicies({ retry: retry(), perpetual: perpetual(), timeout: '30s', limits });
  limits.pop();
  expect(policies).toMatchObject({ retry: { attempts: 3 }, perpetual: { everyMs: 0 }, timeoutMs: 30_000 });
  expect(policies.limits).toHaveLength(2);
  expect(structuredClone(policies)).toEqual(policies);
  expect([policies, policies.limits, ...policies.limits!, policies.perpetual].every(Object.isFrozen)).toBe(true);
});

test('a task without options has no policies', () => {
  expect(resolvePolicies({})).toEqual({});
  expect(resolvePolicies({ retry: undefined, perpetual: undefined, timeout: undefined, limits: undefined })).toEqual(
    {},
  );
  expect(resolvePolicies({ limits: [] })).toEqual({ limits: [] }); // it declares that there are none
});

test('limits that count different things can be combined', () => {
  const limits = [
    concurrencyLimit('from', { scope: 'account' }),
    concurrencyLimit('to', { scope: 'account' }),
    concurrencyLimit('to'),
    concurrencyLimit({ max: 5 }),
    rateLimit('to', { max: 1, per: 1 }),
    cooldown('to', { window: 1 }),
    cooldown('from', { window: 1 }),
    debounce('to', { settle: 1 }),
  ];
  expect(resolvePolicies({ limits }).limits).toEqual(limits);
});
