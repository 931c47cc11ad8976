import { afterEach, expect, test, vi } from 'vitest';
import { resolveDocketOptions } from '../../../src/client/options.js';
import { collection } from '../../../src/tasks/collection.js';
import { task } from '../../../src/tasks/task.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

test('a docket without options takes its name and server from the variables that the command line reads', () => {
  vi.stubEnv('DOCKET_NAME', 'orders');
  vi.stubEnv('DOCKET_URL', 'redis://cache:1');
  expect(resolveDocketOptions({})).toMatchObject({ name: 'orders', url: 'redis://cache:1' });
  const given = { name: 'bills', url: 'redis://other:2' };
  expect(resolveDocketOptions(given)).toMatchObject(given);
});

test('an empty variable counts as unset', () => {
  vi.stubEnv('DOCKET_NAME', '');
  vi.stubEnv('DOCKET_URL', '');
  expect(resolveDocketOptions({})).toMatchObject({ name: 'docket', url: 'redis://localhost:6379/0' });
});

test('the tasks of a docket are known by their names, whatever their places or fields are called', () => {
  const hello = task('hello', () => {});
  for (const tasks of [collection(hello), { greet: hello }, [hello]]) {
    expect([...resolveDocketOptions({ tasks: tasks as never }).tasks!]).toEqual([['hello', hello]]);
  }
  expect(() => resolveDocketOptions({ tasks: { hello: () => {} } as never })).toThrow(
    "'hello' is a function, not a task",
  );
});
