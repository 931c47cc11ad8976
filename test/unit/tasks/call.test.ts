import { expect, test } from 'vitest';
import { isTerminal } from '../../../src/core/states.js';
import { call } from '../../../src/tasks/call.js';
import { task } from '../../../src/tasks/task.js';

const hello = task('hello', ({ name }: { name?: string }) => `hello ${name}`);

test('a call holds the task, its arguments and the options', () => {
  expect(call(hello, { name: 'ada' }, { key: 'k' })).toEqual({
    task: hello,
    args: { name: 'ada' },
    options: { key: 'k' },
  });
});

test('a call without arguments has an empty object', () => {
  expect(call(hello)).toEqual({ task: hello, args: {} });
});

test('completed, failed and cancelled are the terminal states', () => {
  const states = ['scheduled', 'queued', 'running', 'completed', 'failed', 'cancelled'] as const;
  expect(states.filter(isTerminal)).toEqual(['completed', 'failed', 'cancelled']);
});
