/** How names of limits are read out, beside how workers make them. */
import { concurrencyLimit, type LimitPolicy } from 'docket';
import { expect, test } from 'vitest';
import { limitText } from '../../../src/tasks/limit-text.js';
import { encodeValue } from '../../../src/wire/codec.js';
import { AdmissionPlan } from '../../../src/worker/intake/admission-plan.js';

const textFor = (task: string, limit: LimitPolicy<string>, value: unknown = null) => {
  const [gate] = new AdmissionPlan(task, [limit]).of(encodeValue({ 'a:b': value }, 'args'));
  return limitText(gate!.key);
};
const byValue = concurrencyLimit('a:b', { max: 1 });

test.each<[unknown, string]>([
  ['z', "lim a:b 'z'"],
  ['c:1 % ä', "lim a:b 'c:1 % ä'"],
  [-1.5, 'lim a:b -1.5'],
  [-255n, 'lim a:b -255'],
  [true, 'lim a:b true'],
  [null, 'lim a:b null'],
  [new Date(0), 'lim a:b 1970-01-01T00:00:00.000Z'],
  ['x'.repeat(100), 'lim a:b (a long text)'],
])('a limit by the value %s is %s', (value, text) => {
  expect(textFor('lim', byValue, value)).toBe(text);
});

test('of a task as a whole, of the fallback, and in a scope', () => {
  expect(textFor('my:task', concurrencyLimit({ max: 1 }))).toBe('my:task');
  expect(textFor('', byValue, 'z')).toBe("the fallback a:b 'z'");
  expect(textFor('lim', concurrencyLimit({ max: 1, scope: 'db' }))).toBe('@db');
  expect(textFor('lim', concurrencyLimit('a:b', { max: 1, scope: 'db' }), 'z')).toBe("@db 'z'");
});

test('what is no such name stays as it is', () => {
  expect(limitText('a:%E0')).toBe('a:%E0');
  expect(limitText('a:b:i=zz')).toBe('a:b:i=zz');
});
