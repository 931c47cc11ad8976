import { expect, test } from 'vitest';
import { InvalidOptionError } from '../../../src/core/errors.js';
import { configurationOf, configure } from '../../../src/tasks/configure.js';
import { depends } from '../../../src/tasks/dependencies.js';
import { concurrencyLimit, cooldown, debounce, perpetual, retry } from '../../../src/tasks/policies.js';
import { task } from '../../../src/tasks/task.js';

class PaymentDeclined extends Error {}
const fallback = task('fallback', () => {});
const tracing = depends(() => 1);

test('a configuration keeps its options', () => {
  const configured = configure({ uses: { tracing }, fallback, errors: [PaymentDeclined] });
  const own = { uses: { tracing }, fallback, errors: [PaymentDeclined] };
  expect(configurationOf(configured)).toEqual({ ...own, policies: {} });
  expect(configurationOf(configure({}))).toEqual({ uses: {}, fallback: null, errors: [], policies: {} });
  expect(Object.isFrozen(configured)).toBe(true);
});

test('a configuration keeps the data of the policies for all tasks', () => {
  const limits = [concurrencyLimit({ max: 10, scope: 'database' })];
  const { policies } = configurationOf(configure({ retry: retry({ attempts: 3 }), timeout: '5m', limits }))!;
  expect(policies).toEqual({ retry: retry({ attempts: 3 }), timeoutMs: 300_000, limits });
  expect(configurationOf(configure({ limits: [] }))!.policies).toEqual({ limits: [] });
});

test('a configuration of another copy of the package is recognized', () => {
  const definition = { uses: {}, fallback: null, errors: [] };
  expect(configurationOf({ [Symbol.for('docket.configuration')]: definition })).toBe(definition);
});

test('other values are not recognized as configurations', () => {
  expect([null, undefined, 'worker', {}, fallback, () => {}].map(configurationOf)).toEqual(Array(6).fill(null));
});

test.each([
  ['configure.uses', { uses: [1] }],
  ['configure.uses.key', { uses: { key: tracing } }],
  ['configure.fallback', { fallback: () => {} }],
  ['configure.errors', { errors: [Date] }],
  ['configure.onFailed', { onFailed: 'log' }],
  ['configure.errors', { errors: PaymentDeclined }],
  ['configure.timeout', { timeout: 0 }],
  ['configure.timeout', { timeout: 'soon' }],
  ['configure.retry', { retry: { attempts: 3 } }],
  ['configure.perpetual', { perpetual: perpetual() }],
  ['configure.limits', { limits: concurrencyLimit({ max: 1 }) }],
  ['configure.limits\\[0\\]', { limits: [concurrencyLimit('customerId')] }],
  ['configure.limits\\[1\\]', { limits: [cooldown({ window: '1s' }), debounce({ settle: '1s' })] }],
])('a configuration with an invalid %s is refused', (option, options) => {
  const declare = () => configure(options as never);
  expect(declare).toThrow(InvalidOptionError);
  expect(declare).toThrow(expect.objectContaining({ option: expect.stringMatching(`^${option}`) }));
});
