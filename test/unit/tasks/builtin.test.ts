import { expect, test, vi } from 'vitest';
import { builtins, fail, sleep, trace } from '../../../src/tasks/builtin.js';
import type { TaskContext } from '../../../src/tasks/context.js';
import { type AnyTask, definitionOf } from '../../../src/tasks/task.js';

const controller = new AbortController();
const info = vi.fn();
const ctx = {
  key: 'k',
  when: new Date(Date.now() - 1_000),
  signal: controller.signal,
  worker: { name: 'w', threadId: 1 },
  logger: { info },
} as unknown as TaskContext;

async function run(task: AnyTask, args: object): Promise<unknown> {
  return definitionOf(task).run(args, ctx);
}

test('the built-in tasks are trace, fail and sleep', () => {
  expect(Object.keys(builtins)).toEqual(['trace', 'fail', 'sleep']);
});

test('trace logs key, age and worker', async () => {
  await run(trace, { message: 'hi' });
  expect(info).toHaveBeenCalledWith({ key: 'k', ageMs: expect.any(Number), worker: 'w' }, 'hi');
  expect(info.mock.calls[0]?.[0].ageMs).toBeGreaterThanOrEqual(1_000);
});

test('fail fails with its message, and is retried once', async () => {
  await expect(run(fail, { message: 'no' })).rejects.toThrow('no');
  expect(definitionOf(fail).policies.retry?.attempts).toBe(2);
});

test('sleep waits for the given time', async () => {
  await expect(run(sleep, { seconds: 0 })).resolves.toBeUndefined();
});

test('sleep refuses a time that a timer cannot hold', async () => {
  await expect(run(sleep, { seconds: -1 })).rejects.toThrow(/seconds/);
  await expect(run(sleep, { seconds: 1e9 })).rejects.toThrow(/seconds/);
  await expect(run(sleep, {})).rejects.toThrow(/got undefined/);
});

test('sleep ends with the reason of the signal', async () => {
  const sleeping = run(sleep, { seconds: 3_600 });
  controller.abort(new Error('cancelled'));
  await expect(sleeping).rejects.toThrow('cancelled');
});
