import { expect, test } from 'vitest';
import { StopReason } from '../../../src/channel/slots.js';
import { retry } from '../../../src/tasks/policies.js';
import { type LoggedArguments, task } from '../../../src/tasks/task.js';
import { setUp } from '../../support/executor.js';

/** Returns the text that names the call in log lines. */
async function callOf(args: object, logged: LoggedArguments): Promise<string> {
  const { outcomeOf, lines } = setUp([task('charge', { logged } as {}, () => {})], { logsAttempts: true });
  await outcomeOf('charge', args);
  const [start, end] = lines.map(({ message }) => message);
  expect(start!.slice(-' starts'.length)).toBe(' starts');
  const call = start!.slice(0, -' starts'.length);
  expect(end).toBe(`${call} completed`);
  return call;
}

test('one line shows the start of an attempt and how late it is, and one its end and how long it took', async () => {
  const { outcomeOf, lines } = setUp([task('charge', () => 'done')], { logsAttempts: true });
  await outcomeOf('charge', { orderId: 7 });
  const own = { task: 'charge', key: 'id-0', attempt: 1 };
  expect(lines).toEqual([
    { level: 'debug', message: 'charge(...) starts', fields: { ...own, punctualityMs: expect.any(Number) } },
    { level: 'debug', message: 'charge(...) completed', fields: { ...own, durationMs: expect.any(Number) } },
  ]);
  expect(lines[0]!.fields.punctualityMs).toBeGreaterThan(1e12); // due in 1970
  expect(lines[1]!.fields.durationMs).toBeGreaterThan(0);
});

test('attempts are not logged when debug lines are not read', async () => {
  const { outcomeOf, lines } = setUp([task('charge', { logged: { orderId: 'value' } }, (_: { orderId: 1 }) => {})]);
  await outcomeOf('charge', { orderId: 1 });
  expect(lines).toEqual([]);
});

test('arguments are private unless the task lists them', async () => {
  const args = { orderId: 7, items: ['a', 'b', 'c'], card: '4242' };
  expect(await callOf(args, {})).toBe('charge(...)');
  expect(await callOf(args, { orderId: 'value' })).toBe('charge(orderId=7, ...)');
  expect(await callOf(args, { orderId: 'value', items: 'length' })).toBe('charge(orderId=7, items=<3>, ...)');
  expect(await callOf(args, { orderId: 'value', items: 'length', card: 'length' })).toBe(
    'charge(orderId=7, items=<3>, card=<4>)',
  );
  expect(await callOf({}, {})).toBe('charge()');
});

test.each<[unknown, string]>([
  ['ada', "'ada'"],
  ['a\nb', "'a\\nb'"],
  [new Date(0), '1970-01-01T00:00:00.000Z'],
  [undefined, 'undefined'],
  [{ a: { b: { c: 1 } } }, '{ a: { b: [Object] } }'],
  [[1, 2, 3, 4, 5, 6, 7], '[ 1, 2, 3, 4, 5, ... 2 more items ]'],
])('the value %j is shown as %s', async (value, text) => {
  expect(await callOf({ value }, { value: 'value' })).toBe(`charge(value=${text})`);
});

test('a long value is shortened to one line', async () => {
  const call = await callOf(
    { value: Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`k${i}`, i])) },
    {
      value: 'value',
    },
  );
  expect(call.length).toBeLessThan(120);
  expect(call).toMatch(/…\)$/);
  expect(call).not.toContain('\n');
});

test.each<[unknown, string]>([
  ['four', '4'],
  [[1, 2], '2'],
  [new Map([[1, 2]]), '1'],
  [new Set([1, 2, 3]), '3'],
  [Buffer.alloc(10), '10'],
  [new ArrayBuffer(9), '9'],
  [{ a: 1, b: 2 }, '2'],
  [7, '?'],
  [null, '?'],
  [undefined, '?'],
])('the length of %j is %s', async (value, length) => {
  expect(await callOf({ value }, { value: 'length' })).toBe(`charge(value=<${length}>)`);
});

test.each<[string, () => unknown, object]>([
  [
    'failed: Error: declined',
    () => {
      throw new Error('declined');
    },
    {},
  ],
  [
    'failed and is retried: Error: declined',
    () => {
      throw new Error('declined');
    },
    { retry: retry() },
  ],
])('the last line tells that it %s', async (end, body, options) => {
  const { outcomeOf, lines } = setUp([task('charge', options, body)], { logsAttempts: true });
  await outcomeOf('charge');
  expect(lines[1]!.message).toBe(`charge() ${end}`);
});

test.each([
  ['was cancelled', StopReason.cancelled],
  ['was interrupted', StopReason.interrupted],
])('the last line tells that it %s', async (end, reason) => {
  const stops = task('stops', (_args: {}, ctx) => {
    slots.requestStop(0, 1, reason);
    ctx.throwIfCancelled();
  });
  const { outcomeOf, slots, lines } = setUp([stops], { logsAttempts: true });
  await outcomeOf('stops');
  expect(lines[1]!.message).toBe(`stops() ${end}`);
});
