import { expect, test } from 'vitest';
import { type Outcome, OutcomeCollector } from '../../../src/channel/protocol.js';
import { isBooted, isFromThread } from '../../../src/channel/untrusted.js';

const bytes = Uint8Array.of(1, 2, 3);
const failed: Outcome = { kind: 'failed', error: bytes, line: 'Error: no' };
const OUTCOMES: Outcome[] = [
  { kind: 'completed', result: null },
  { kind: 'completed', result: bytes },
  { kind: 'completed', result: new Uint8Array() },
  { kind: 'completed', result: null, next: { everyMs: 5, args: bytes, due: { delayMs: 0 } } },
  { kind: 'completed', result: bytes, next: { isEnded: true } },
  failed,
  { ...failed, details: { name: '', thread: 3, tookMs: 0.5 } },
  { kind: 'retry', due: { atMs: 1_790_000_000_000 }, line: 'Error: no' },
  { kind: 'cancelled' },
  { kind: 'interrupted' },
  { kind: 'unknown-task' },
];

test('whatever a thread of the runtime sends is accepted', () => {
  const outcomes = new OutcomeCollector();
  const none = outcomes.take();
  for (const [i, outcome] of OUTCOMES.entries()) outcomes.add(i, outcome);
  outcomes.addMessage({ shipmentId: 1, message: null });
  const batch = outcomes.take();
  const messages = [
    { kind: 'outcomes', batch: none, over: [0, 7] },
    { kind: 'outcomes', batch, over: [] },
    { kind: 'progress', message: { shipmentId: 4_097, message: 'half of it' } },
    { kind: 'log', line: { level: 'warn', message: '', fields: {} }, units: 1 },
    { kind: 'output', stream: 'stdout', data: 'text', units: 1 },
    { kind: 'output', stream: 'stderr', data: new Uint8Array(2), units: 1 },
    { kind: 'placements', placements: [['added', 'task', 3]] },
  ];
  expect(messages.map(isFromThread)).toEqual(messages.map(() => true));
  expect(isBooted({ kind: 'ready', manifest: { tasks: [{ name: 'a', policies: {} }], fallback: null } })).toBe(true);
  expect(isBooted({ kind: 'failed', error: bytes })).toBe(true);
});

const empty = { completed: [], withResult: [], ends: [], bytes: null, others: [] };
const batchOf = (outcome: unknown) => ({ ...empty, others: [{ shipmentId: 1, outcome }] });

test.each([
  ['nothing', null],
  ['a text', 'outcomes'],
  ['no lists', {}],
  ['a list that is none', { ...empty, completed: { length: 1, 0: 1 } }],
  ['a shipment that is no number', { ...empty, completed: ['1'] }],
  ['a shipment that is no whole number', { ...empty, completed: [0.5] }],
  ['a negative shipment', { ...empty, completed: [-1] }],
  ['fewer ends than results', { ...empty, withResult: [1, 2], ends: [1], bytes }],
  ['results without bytes', { ...empty, withResult: [1], ends: [1] }],
  ['results past the bytes', { ...empty, withResult: [1], ends: [9], bytes }],
  ['results that end before they begin', { ...empty, withResult: [1, 2], ends: [3, 2], bytes: bytes.subarray(0, 2) }],
  ['an outcome of a kind that there is not', batchOf({ kind: 'exploded' })],
  ['a failure without a line', batchOf({ ...failed, line: undefined })],
  ['a failure whose error is no bytes', batchOf({ ...failed, error: 'Error: no' })],
  ['a failure in no thread', batchOf({ ...failed, details: { name: 'E', thread: -1, tookMs: 1 } })],
  ['a failure without a name', batchOf({ ...failed, details: { thread: 1, tookMs: 1 } })],
  ['a retry at no time', batchOf({ kind: 'retry', due: { delayMs: Number.NaN }, line: '' })],
  ['a next run at no time', batchOf({ kind: 'completed', result: null, next: { due: {} } })],
  ['a progress message that is no text', { ...empty, messages: [{ shipmentId: 1, message: 7 }] }],
])('a batch of outcomes with %s is not', (_, batch) => {
  expect(isFromThread({ kind: 'outcomes', batch, over: [] })).toBe(false);
});

test.each([
  ['nothing', undefined],
  ['a kind that there is not', { kind: 'hello' }],
  ['outcomes that do not say which chunks are over', { kind: 'outcomes', batch: empty }],
  ['chunks that are no numbers', { kind: 'outcomes', batch: empty, over: ['0'] }],
  [
    'a log line of a level that there is not',
    { kind: 'log', line: { level: 'fatal', message: '', fields: {} }, units: 1 },
  ],
  ['output of a stream that is none', { kind: 'output', stream: 'stdin', data: '', units: 1 }],
  ['output that is no text', { kind: 'output', stream: 'stdout', data: 7, units: 1 }],
  ['a log line without fields', { kind: 'log', line: { level: 'info', message: '' }, units: 1 }],
  ['a count of nothing that is counted', { kind: 'placements', placements: [['constructor', 'task', 1]] }],
  ['a count that is no number', { kind: 'placements', placements: [['added', 'task', '1']] }],
])('a message with %s is not', (_, message) => {
  expect(isFromThread(message)).toBe(false);
});

test.each([
  ['nothing', null],
  ['no manifest', { kind: 'ready' }],
  ['a task without policies', { kind: 'ready', manifest: { tasks: [{ name: 'a' }], fallback: null } }],
  [
    'a task whose logged arguments are none',
    { kind: 'ready', manifest: { tasks: [{ name: 'a', policies: {}, logged: 'all' }], fallback: null } },
  ],
  ['no error', { kind: 'failed' }],
])('a reply to boot with %s is not', (_, reply) => {
  expect(isBooted(reply)).toBe(false);
});
