import { expect, test } from 'vitest';
import {
  type ChunkItem,
  ChunkWriter,
  decodeChunk,
  forEachOutcome,
  type Outcome,
  OutcomeCollector,
} from '../../../src/channel/protocol.js';

const item: ChunkItem = {
  row: 7,
  epoch: 3,
  record: 'k',
  token: 'w1790000000123-4',
  partition: '',
  dueMs: 1_790_000_000_123,
  isRedelivered: false,
  message: Buffer.from([0, 1, 255]),
};
const items: ChunkItem[] = [
  item,
  { ...item, row: 0, record: null, token: null },
  { ...item, partition: '2.1', row: 4_095, epoch: 2 ** 28 - 1, isRedelivered: true },
  { ...item, record: `'"\n\u0000 ключ 🔑`, dueMs: 0 },
  { ...item, record: 'x'.repeat(512), message: Buffer.alloc(70_000, 9) },
  { ...item, dueMs: 8_640_000_000_000_000, message: Buffer.alloc(0) },
];

function encode(chunk: readonly ChunkItem[]): Uint8Array {
  const writer = new ChunkWriter();
  for (const one of chunk) writer.add(one);
  return writer.finish();
}

/** Bytes are compared as bytes, whatever view they come in. */
function plain(chunk: readonly ChunkItem[]): unknown[] {
  return chunk.map((one) => ({ ...one, message: [...one.message] }));
}

test('a chunk is read as it was written, item by item', () => {
  expect(plain(decodeChunk(encode(items)))).toEqual(plain(items));
});

test('a chunk can be empty, or hold hundreds of items', () => {
  expect(decodeChunk(encode([]))).toEqual([]);
  const many = Array.from({ length: 512 }, (_, row) => ({ ...item, row, message: Buffer.from(`message ${row}`) }));
  expect(plain(decodeChunk(encode(many)))).toEqual(plain(many));
});

test('a chunk has memory of its own, and arrives whole when it is transferred', () => {
  const chunk = encode(items);
  expect(chunk.byteLength).toBe(chunk.buffer.byteLength);
  const copy = [...chunk];
  const received = structuredClone(chunk, { transfer: [chunk.buffer as ArrayBuffer] });
  expect(chunk.byteLength).toBe(0); // moved, not copied
  expect([...received]).toEqual(copy);
  expect(plain(decodeChunk(received))).toEqual(plain(items));
});

test('a chunk does not change while the next one is written', () => {
  const first = encode(items);
  encode([{ ...item, message: Buffer.alloc(5_000, 1) }]);
  expect(plain(decodeChunk(first))).toEqual(plain(items));
});

const outcomes: readonly [row: number, outcome: Outcome][] = [
  [1, { kind: 'completed', result: null }],
  [2, { kind: 'completed', result: Buffer.from('two') }],
  [3, { kind: 'failed', error: new Uint8Array([1, 2]), line: 'Error: three' }],
  [4, { kind: 'completed', result: Buffer.from('') }],
  [5, { kind: 'retry', due: { delayMs: 1_500 }, line: 'Error: five' }],
  [6, { kind: 'completed', result: null }],
  [7, { kind: 'cancelled' }],
  [8, { kind: 'completed', result: Buffer.alloc(70_000, 8) }],
  [9, { kind: 'interrupted' }],
  [10, { kind: 'completed', result: null, next: { everyMs: 5, args: new Uint8Array([0x80]) } }],
  [11, { kind: 'completed', result: new Uint8Array([7]), next: { isEnded: true } }],
  [12, { kind: 'failed', error: new Uint8Array([1]), line: 'Error: twelve', next: { due: { atMs: 9 } } }],
];

function visited(collector: OutcomeCollector): Map<number, Outcome> {
  const seen = new Map<number, Outcome>();
  forEachOutcome(structuredClone(collector.take()), (row, outcome) => {
    expect(seen.has(row)).toBe(false);
    seen.set(row, outcome);
  });
  return seen;
}

test('each shipment gets its own outcome across the border of threads', () => {
  const collector = new OutcomeCollector();
  for (const [row, outcome] of outcomes) collector.add(row, outcome);
  expect(collector.isEmpty).toBe(outcomes.length === 0);
  const seen = visited(collector);
  expect(seen.size).toBe(outcomes.length);
  for (const [row, outcome] of outcomes) {
    const other = seen.get(row)!;
    if (outcome.kind !== 'completed' || outcome.result === null) expect(other).toEqual(outcome);
    else expect(outcome.result.every((byte, i) => byte === (other as typeof outcome).result?.[i])).toBe(true);
    if (outcome.kind === 'completed' && other.kind === 'completed') {
      expect(other.result?.length).toBe(outcome.result?.length);
    }
  }
});

test('outcomes are taken once only', () => {
  const collector = new OutcomeCollector();
  collector.add(1, { kind: 'completed', result: Buffer.from('one') });
  const first = collector.take();
  expect(collector.isEmpty).toBe(true);
  expect(visited(collector).size).toBe(0);
  collector.add(2, { kind: 'completed', result: null });
  expect([...visited(collector).keys()]).toEqual([2]);
  expect(first.withResult).toEqual([1]);
});

test('results cross without the rest of the memory in which they were written', () => {
  const pool = Buffer.alloc(1_000_000);
  const collector = new OutcomeCollector();
  collector.add(1, { kind: 'completed', result: pool.subarray(10, 20) });
  expect(collector.take().bytes!.buffer.byteLength).toBe(10);
});

test('progress messages come with the outcomes, and only when there are any', () => {
  const collector = new OutcomeCollector();
  collector.add(1, { kind: 'completed', result: null });
  expect(collector.take()).not.toHaveProperty('messages');
  collector.add(2, { kind: 'completed', result: null });
  collector.addMessage({ shipmentId: 2, message: 'nearly' });
  expect(structuredClone(collector.take()).messages).toEqual([{ shipmentId: 2, message: 'nearly' }]);
  expect(collector.take()).not.toHaveProperty('messages');
});
