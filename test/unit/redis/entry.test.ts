import { expect, test } from 'vitest';
import { readEntry } from '../../../src/redis/entry.js';
import type { StreamLetter } from '../../../src/redis/schema.js';

function read(fields: Record<string, string>, id = '1700000000123-4', letter: StreamLetter = 'f') {
  const list = Object.entries(fields).flatMap(([name, value]) => [Buffer.from(name), Buffer.from(value)]);
  return readEntry(letter, [Buffer.from(id), list]);
}

test('an entry with a message only is a new execution that was due when it was added', () => {
  expect(read({ m: 'message' })).toEqual({
    token: 'f1700000000123-4',
    record: null,
    message: Buffer.from('message'),
    dueMs: 1_700_000_000_123,
    deliveries: 0,
    charges: 0,
    reroutes: 0,
    admissionStage: 'new',
    holdsPermits: false,
    hasBooking: false,
    priority: 'normal',
  });
});

test('every field of an entry is read', () => {
  expect(
    read({ k: 'ключ', m: '', w: '1600000000000', d: '4', c: '2', p: '9', o: '2', h: '1', u: '1 r' }),
  ).toMatchObject({
    record: 'ключ',
    message: Buffer.alloc(0),
    dueMs: 1_600_000_000_000,
    deliveries: 4,
    charges: 2,
    reroutes: 9,
    admissionStage: 'submission-admitted',
    holdsPermits: true,
    hasBooking: true,
  });
});

test('the stream of an entry says its priority, and on the front stream a field does', () => {
  const letters: readonly StreamLetter[] = ['f', 'h', 'w', 'b'];
  expect(letters.map((letter) => read({}, '1-1', letter).priority)).toEqual(['normal', 'high', 'normal', 'low']);
  expect(['h', 'b', 'from the future'].map((y) => read({ y }).priority)).toEqual(['high', 'low', 'normal']);
});

test('fields that are not known are passed over, and so is the message that is missing', () => {
  expect(read({ later: 'x', kk: 'y', '': 'z', ю: 'w' })).toMatchObject({ record: null, message: null });
});

test.each([
  ['', 'new'],
  ['1', 'debounce-over'],
  ['2', 'submission-admitted'],
  ['3', 'attempt-admitted'],
  ['9', 'new'], // not known: no limit is skipped
])('the admission stage %j is read as %s', (code, stage) => {
  expect(read({ m: '', o: code }).admissionStage).toBe(stage);
});

test.each(['', 'soon', '1-1', '-1', '1e999'])('a field with %j in place of a number counts as none', (text) => {
  expect(read({ m: 'message', w: text, d: text, c: text, p: text })).toEqual(read({ m: 'message' }));
});
