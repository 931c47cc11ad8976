import { concurrencyLimit, cooldown, cron, debounce, exponentialRetry, perpetual, rateLimit, retry } from 'docket';
import { expect, test } from 'vitest';
import { describePolicies } from '../../../src/tasks/describe.js';
import { type PolicyOptions, resolvePolicies } from '../../../src/tasks/policies.js';

test.each<[string, PolicyOptions]>([
  ['runs once', {}],
  ['1 attempt', { retry: retry({ attempts: 1 }) }],
  ['3 attempts', { retry: retry({ attempts: 3 }) }],
  ['3 attempts 5s apart', { retry: retry({ attempts: 3, delay: '5s' }) }],
  ['attempts without end 1500ms apart', { retry: retry({ attempts: 'forever', delay: '1500ms' }) }],
  ['5 attempts 1s to 64s apart with jitter 0.2', { retry: exponentialRetry({ attempts: 5, jitter: 0.2 }) }],
  ['every 5m, started by workers', { perpetual: perpetual({ every: '5m', automatic: true }) }],
  ["cron '0 9 * * *' Europe/Berlin", { perpetual: cron('0 9 * * *', { timezone: 'Europe/Berlin' }) }],
  ['timeout 30s, 2 at once for each customer', { timeout: '30s', limits: [concurrencyLimit('customer', { max: 2 })] }],
  ["4 at once in scope 'crawl'", { limits: [concurrencyLimit({ max: 4, scope: 'crawl' })] }],
  ['100 per 1m, the rest dropped', { limits: [rateLimit({ max: 100, per: '1m', onExceeded: 'drop' })] }],
  ['cooldown 10m for each userId', { limits: [cooldown('userId', { window: '10m' })] }],
  ['1 attempt, high priority', { retry: retry({ attempts: 1 }), priority: 'high' }],
  ['runs once', { priority: 'normal' }],
  ['debounce 5s', { limits: [debounce({ settle: '5s' })] }],
])('policies are described as: %s', (text, policies) => {
  expect(describePolicies(resolvePolicies(policies))).toBe(text);
});
