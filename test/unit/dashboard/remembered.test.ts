import { expect, test } from 'vitest';
import { remembered } from '../../../src/dashboard/server/remembered.js';

test('a reading is shared for as long as it takes, is as old as its end, and a failed one is made again', async () => {
  const ends: ((value: number | PromiseLike<number>) => void)[] = [];
  const read = () => new Promise<number>((resolve) => ends.push(resolve));
  const { read: ask } = remembered((forMs: number) => forMs, read);
  const slow = [ask(0), ask(0)];
  await new Promise((resolve) => setTimeout(resolve, 5)); // longer than it is kept
  slow.push(ask(0));
  ends[0]!(1);
  expect([await Promise.all(slow), ends.length]).toEqual([[1, 1, 1], 1]);

  const kept = ask(1e9);
  ends[1]!(2);
  expect([await kept, await ask(1e9), ends.length]).toEqual([2, 2, 2]);

  const failed = ask(1e6);
  ends[2]!(Promise.reject(new Error('down')));
  await expect(failed).rejects.toThrow('down');
  const again = ask(1e6);
  ends[3]!(3);
  expect(await again).toBe(3);
});

test('no more than a few readings are kept', async () => {
  let readings = 0;
  const { read: ask } = remembered(
    () => 1e9,
    async (of: number) => {
      readings += 1;
      return of;
    },
  );
  for (let i = 0; i < 20; i++) await ask(i);
  await ask(19);
  expect(readings).toBe(20);
  await ask(0);
  expect(readings).toBe(21);
});
