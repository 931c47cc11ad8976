import { expect, test } from 'vitest';
import { OutcomeCollector } from '../../../../src/channel/protocol.js';
import { OpenChunks } from '../../../../src/worker/threads/open-chunks.js';

function batchOf(...shipmentIds: number[]) {
  const outcomes = new OutcomeCollector();
  for (const id of shipmentIds) outcomes.add(id, { kind: 'completed', result: null });
  return outcomes.take();
}

test('chunks end in any order, and the first of those that end together has the outcomes', async () => {
  const chunks = new OpenChunks();
  const sent: number[] = [];
  const open = () => chunks.open((chunk) => void sent.push(chunk));
  const [first, second, third] = [open(), open(), open()];
  expect(chunks.end([sent[2]!, sent[0]!], batchOf(7, 8))).toBe(true);
  expect((await third).completed).toEqual([7, 8]);
  expect((await first).completed).toEqual([]);
  expect(chunks.end([sent[1]!], batchOf())).toBe(true);
  expect((await second).completed).toEqual([]);
});

test('outcomes that end no open chunk are left to the caller', async () => {
  const chunks = new OpenChunks();
  const sent: number[] = [];
  const ending = chunks.open((chunk) => void sent.push(chunk));
  expect(chunks.end([], batchOf(1))).toBe(false);
  expect(chunks.end([sent[0]! + 1], batchOf(1))).toBe(false);
  expect(chunks.end(sent, batchOf(2))).toBe(true);
  expect(chunks.end(sent, batchOf(3))).toBe(false);
  expect((await ending).completed).toEqual([2]);
});

test('once the thread is gone, its open chunks fail, and so does each later one, which is not sent', async () => {
  const chunks = new OpenChunks();
  const error = new Error('gone');
  const open = chunks.open(() => {});
  chunks.fail(error);
  await expect(open).rejects.toBe(error);
  const send = () => expect.unreachable();
  await expect(chunks.open(send)).rejects.toBe(error);
});
