import { expect, test } from 'vitest';
import { Batcher, type BatchLimits, RequestBatcher, sendInBatches } from '../../../src/core/batcher.js';
import { type Deferred, deferred } from '../../support/wait.js';

const LIMITS: BatchLimits<number> = { maxItems: 4, maxBytes: 100, maxInFlight: 2, sizeOf: () => 1 };

/** A batcher whose batches the test answers. */
function manual(limits: Partial<BatchLimits<number>> = {}) {
  const batches: number[][] = [];
  const answers: Deferred<void>[] = [];
  const batcher = new Batcher<number>(
    (batch) => {
      batches.push([...batch]);
      const answer = deferred();
      answers.push(answer);
      return answer.promise;
    },
    { ...LIMITS, ...limits },
  );
  return { batcher, batches, answer: (i: number) => answers[i]!.resolve() };
}

/** Lets all pending ticks and promises run. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('items pushed in one tick form one batch', async () => {
  const { batcher, batches } = manual();
  for (const item of [1, 2, 3]) batcher.push(item);
  expect(batches).toEqual([]); // not before the tick is over
  await turn();
  expect(batches).toEqual([[1, 2, 3]]);
});

test('a batch is sent before timers and I/O have their turn', async () => {
  const { batcher, batches } = manual();
  batcher.push(1);
  await new Promise<void>((resolve) => process.nextTick(resolve));
  expect(batches).toEqual([[1]]);
});

test('items pushed while the batches in flight are unanswered collect into batches of the largest size', async () => {
  const { batcher, batches, answer } = manual();
  for (const item of [1, 2, 3, 4, 5, 6, 7, 8]) {
    batcher.push(item);
    await turn();
  }
  expect(batches).toEqual([[1], [2]]);
  answer(0);
  await turn();
  expect(batches).toEqual([[1], [2], [3, 4, 5, 6]]);
  answer(1);
  await turn();
  expect(batches).toEqual([[1], [2], [3, 4, 5, 6], [7, 8]]);
});

test('no more batches than allowed are in flight, however many items are pushed at once', async () => {
  const { batcher, batches, answer } = manual();
  for (let item = 0; item < 20; item++) batcher.push(item);
  for (let answered = 0; answered < 5; answered++) {
    await turn();
    expect(batches).toHaveLength(Math.min(5, answered + 2));
    answer(answered);
  }
  expect(batches.flat()).toEqual(Array.from({ length: 20 }, (_, item) => item));
});

test('a batch takes no more than its bytes, and a larger item travels alone', async () => {
  const { batcher, batches } = manual({ maxInFlight: 10, maxBytes: 10, sizeOf: (item) => item });
  for (const item of [4, 6, 1, 99, 5, 5, 5]) batcher.push(item);
  await turn();
  expect(batches).toEqual([[4, 6], [1], [99], [5, 5], [5]]);
});

test('a full batch leaves in the tick in which it fills up, and more of them may be in flight', async () => {
  const { batcher, batches, answer } = manual({ maxFullInFlight: 4 });
  for (let item = 0; item < 22; item++) batcher.push(item);
  expect(batches.map((batch) => batch.length)).toEqual([4, 4, 4, 4]);
  await turn();
  expect(batches).toHaveLength(4);
  answer(0);
  await turn();
  expect(batches.at(-1)).toEqual([16, 17, 18, 19]); // full, too
  answer(1);
  answer(2);
  await turn();
  expect(batches).toHaveLength(5); // what is left fills no batch, and two are in flight
  answer(3);
  await turn();
  expect(batches.at(-1)).toEqual([20, 21]);
});

test('full batches in flight have no more bytes than the usual batches together', async () => {
  const { batcher, batches } = manual({ maxFullInFlight: 10, maxBytes: 8, sizeOf: () => 2 });
  for (let item = 0; item < 40; item++) batcher.push(item);
  await turn();
  expect(batches.flat()).toHaveLength(8); // twice 8 bytes
});

test('idle resolves when every item has its reply, and at once when there is none', async () => {
  const { batcher, answer } = manual();
  await batcher.idle();
  for (let item = 0; item < 6; item++) batcher.push(item);
  let isIdle = false;
  const idle = batcher.idle().then(() => {
    isIdle = true;
  });
  await turn();
  answer(0);
  await turn();
  expect(isIdle).toBe(false);
  answer(1);
  await idle;
  await batcher.idle();
});

test('idle waits for items that are pushed while it waits', async () => {
  const { batcher, batches, answer } = manual({ maxInFlight: 1 });
  batcher.push(1);
  await turn();
  let isIdle = false;
  const idle = batcher.idle().then(() => {
    isIdle = true;
  });
  batcher.push(2);
  answer(0);
  await turn();
  expect([batches, isIdle]).toEqual([[[1], [2]], false]);
  answer(1);
  await idle;
});

test('each request gets the output of its item', async () => {
  const batcher = new RequestBatcher<number, string>(async (batch) => batch.map(String), LIMITS);
  const items = Array.from({ length: 50 }, (_, item) => item);
  expect(await Promise.all(items.map((item) => batcher.add(item)))).toEqual(items.map(String));
});

test('a batch that fails rejects only its own items', async () => {
  const send = async (batch: number[]) => {
    if (batch.includes(5)) throw new Error(`lost ${batch.join()}`);
    return batch;
  };
  const batcher = new RequestBatcher<number, number>(send, LIMITS);
  const settled = await Promise.allSettled(Array.from({ length: 12 }, (_, item) => batcher.add(item)));
  expect(settled.map((one) => one.status === 'rejected')).toEqual(settled.map((_, item) => item >= 4 && item < 8));
  expect(settled[6]).toMatchObject({ reason: { message: 'lost 4,5,6,7' } });
  await batcher.idle();
});

test('a send function that throws synchronously rejects its items', async () => {
  const send = () => {
    throw new Error('broken');
  };
  const batcher = new RequestBatcher<number, number>(send, LIMITS);
  await expect(batcher.add(1)).rejects.toThrow('broken');
  await expect(batcher.add(2)).rejects.toThrow('broken');
});

test('sendInBatches returns the batches in the order of the items, whatever the order of the replies', async () => {
  const items = Array.from({ length: 11 }, (_, item) => item);
  const answers: Deferred<void>[] = [];
  const sending = sendInBatches(
    items,
    async (batch) => {
      const answer = deferred();
      answers.push(answer);
      await answer.promise;
      return batch.map((item) => 10 * item);
    },
    LIMITS,
  );
  await turn();
  expect(answers).toHaveLength(2); // as many as may be in flight
  answers[1]!.resolve();
  await turn();
  expect(answers).toHaveLength(3);
  answers[2]!.resolve();
  answers[0]!.resolve();
  expect(await sending).toEqual([
    { outputs: [0, 10, 20, 30], error: null },
    { outputs: [40, 50, 60, 70], error: null },
    { outputs: [80, 90, 100], error: null },
  ]);
});

test('sendInBatches sends its first full batches before it returns', async () => {
  const sent: number[][] = [];
  const answer = deferred();
  const send = async (batch: number[]) => {
    sent.push(batch);
    await answer.promise;
    return batch;
  };
  const items = Array.from({ length: 15 }, (_, item) => item);
  const sending = sendInBatches(items, send, { ...LIMITS, maxFullInFlight: 3 });
  expect(sent.map((batch) => batch.length)).toEqual([4, 4, 4]);
  answer.resolve();
  expect((await sending).flatMap(({ outputs }) => outputs)).toEqual(items);
});

test('sendInBatches reports the batch that failed, and the other batches in flight complete', async () => {
  const failure = new Error('lost');
  const send = async (batch: number[]) => {
    if (batch.includes(5)) throw failure;
    return batch;
  };
  expect(await sendInBatches([0, 1, 2, 3, 4, 5, 6, 7, 8], send, LIMITS)).toEqual([
    { outputs: [0, 1, 2, 3], error: null },
    { outputs: [null, null, null, null], error: failure },
    { outputs: [8], error: null },
  ]);
});

test('sendInBatches sends nothing when there are no items', async () => {
  const send = () => Promise.reject(new Error('called'));
  expect(await sendInBatches([], send, LIMITS)).toEqual([]);
});

test('when a batch fails, each item gets an error of its own, and those that wait behind it may fail with it', async () => {
  const sent: number[][] = [];
  const send = async (batch: number[]): Promise<number[]> => {
    sent.push(batch);
    await Promise.resolve();
    throw new Error('down');
  };
  const limits = { ...LIMITS, maxItems: 2, maxInFlight: 1 };
  const failures = {
    errorOf: (error: unknown, item: number) => `${(error as Error).message} ${item}`,
    errorOfWaiting: () => 'not sent',
  };
  const batcher = new RequestBatcher<number, number>(send, limits, failures);
  const results = await Promise.allSettled([1, 2, 3, 4, 5].map((item) => batcher.add(item)));
  expect(results.map((result) => (result as PromiseRejectedResult).reason)).toEqual([
    'down 1',
    'down 2',
    'not sent',
    'not sent',
    'not sent',
  ]);
  expect(sent).toEqual([[1, 2]]);
  await batcher.idle();
});
