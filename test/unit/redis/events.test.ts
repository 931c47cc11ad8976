/** What a published event is read as. */
import { expect, test } from 'vitest';
import { parseEvent } from '../../../src/redis/events.js';

const parse = (text: string) => parseEvent(Buffer.from(text, 'latin1'));

test('an event that ends an execution has its outcome behind the lines, byte by byte', () => {
  const lines = '7000 completed 9\n1\n2\n3\n4\nw\n';
  expect(parse(`${lines}\nr\n\xc4\x02\n\xff`)).toMatchObject({
    outcome: { result: Buffer.from('\xc4\x02\n\xff', 'latin1'), error: null },
  });
  expect(parse(`${lines}\nx\nabc`)).toMatchObject({ outcome: { result: null, error: Buffer.from('abc') } });
  expect(parse(`${lines}\n-`)).toMatchObject({ outcome: { result: null, error: null } });
});

test('an event without an outcome, or with lines that a later version adds, leaves the outcome to the record', () => {
  expect(parse('7000 completed 9\n1\n2\n3\n4\nw\n')).toMatchObject({ state: 'completed', outcome: null });
  expect(parse('7000 completed 9\n1\n2\n3\n4\nw\n\nlater\nr\nabc')).toMatchObject({ outcome: null });
});

test.each([
  ['', 'nothing'],
  ['x completed 9', 'no generation'],
  ['7000 vanished 9', 'no state'],
  ['7000 completed soon', 'no time'],
  ['7000 completed 9\nx', 'a due time that is none'],
  ['7000 progress 9\nx\n100\n9\n', 'progress that is none'],
])('%j is no event: %s', (text) => {
  expect(parse(text)).toBeNull();
});
