import { AsyncLocalStorage } from 'node:async_hooks';
import { expect, test } from 'vitest';
import { task } from '../../../src/tasks/task.js';
import { setUp } from '../../support/executor.js';

test('an attempt sees no store of the program that embeds its executor, nor of the attempt before', async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const looks = task('looks', async () => {
    seen.push(storage.getStore());
    storage.enterWith('of an attempt');
    await null;
    seen.push(storage.getStore());
  });
  const { run, item } = setUp([looks]);
  await storage.run('of a request', () => run([item('looks'), item('looks'), item('looks')]));
  expect(seen).toEqual([undefined, 'of an attempt', undefined, 'of an attempt', undefined, 'of an attempt']);
});
