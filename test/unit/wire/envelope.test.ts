import { describe, expect, test } from 'vitest';
import { UndecodableValueError } from '../../../src/core/errors.js';
import { decodeValue, encoderFor } from '../../../src/wire/codec.js';
import {
  Envelope,
  encodeEnvelope,
  PLAIN_VERSION,
  WIRE_VERSION,
  withAttempt,
  withOverrides,
} from '../../../src/wire/envelope.js';

interface Message {
  readonly task?: string;
  readonly ttlMs?: number;
  readonly id?: string | null;
  readonly args?: unknown;
}

function encode({ task = 'charge', ttlMs = 900_000, id = null, args = { n: 1 } }: Message = {}): Buffer {
  return encodeEnvelope(encoderFor(args, 'args'), task, ttlMs, id, args);
}

const PLAIN = { n: 1, text: 'ü', list: [1, [2, { three: null }]] };
const RICH = { when: new Date(7), map: new Map([[1n, new Set(['x'])]]), bytes: Buffer.from([0, 255]) };

describe.each([
  ['plain', PLAIN],
  ['rich', RICH],
  ['no', {}],
])('a message with %s arguments', (_which, args) => {
  test.each<Message>([
    {},
    { id: '1az2nn2m8NnbBHAj' },
    { ttlMs: 0, id: 'x' },
    { task: 'x' },
    { task: 'billing/charge v2 💳' },
    { task: 'x'.repeat(31) },
    { task: 'x'.repeat(32) },
    { task: 'x'.repeat(255) },
    { task: 'x'.repeat(512) },
    { id: 'x'.repeat(512) },
    { id: '' },
    { ttlMs: 127 },
    { ttlMs: 128 },
    { ttlMs: 65_536 },
    { ttlMs: 2 ** 32 - 1 },
    { ttlMs: 2 ** 32 },
    { ttlMs: 315_360_000_000_000 },
  ])('is read as it was written (%j)', (message) => {
    const envelope = new Envelope(encode({ ...message, args }));
    const { task = 'charge', ttlMs = 900_000, id = null } = message;
    expect([envelope.version, envelope.task, envelope.ttlMs, envelope.attempt, envelope.id]).toEqual([
      PLAIN_VERSION,
      task,
      ttlMs,
      1,
      id,
    ]);
    expect(envelope.isReadable).toBe(true);
    expect(decodeValue(envelope.args)).toStrictEqual(args);
  });

  test.each([2, 127, 128, 256, 70_000, 2 ** 33])(
    'gets attempt number %d, while its arguments stay as they are',
    (attempt) => {
      const first = new Envelope(encode({ id: 'an id', args }));
      const next = new Envelope(withAttempt(first, attempt));
      expect([next.version, next.task, next.ttlMs, next.attempt, next.id]).toEqual([
        1,
        'charge',
        900_000,
        attempt,
        'an id',
      ]);
      expect(next.args.equals(first.args)).toBe(true);
      expect(next.rest.equals(first.rest)).toBe(true);
      expect(withAttempt(next, 1).equals(first.bytes)).toBe(true);
    },
  );
});

test('a message is read wherever it is in its memory', () => {
  const bytes = encode();
  const padded = new Uint8Array(Buffer.concat([Buffer.alloc(13, 1), bytes, Buffer.alloc(7, 1)]));
  const envelope = new Envelope(padded.subarray(13, 13 + bytes.length));
  expect([envelope.task, decodeValue(envelope.args)]).toEqual(['charge', { n: 1 }]);
});

test('headers are skipped and passed on', () => {
  const first = new Envelope(encode({ id: 'x' }));
  const headers = Buffer.from([0xa3, 0x61, 0x62, 0x63]); // 'abc' where this version writes nil
  const at = first.bytes.length - first.rest.length;
  const message = Buffer.concat([first.bytes.subarray(0, at), headers, first.bytes.subarray(at + 1)]);
  const envelope = new Envelope(message);
  expect(decodeValue(envelope.args)).toEqual({ n: 1 });
  expect(new Envelope(withAttempt(envelope, 2)).rest.equals(envelope.rest)).toBe(true);
});

test('the first five fields of a newer message are read, and it is recognized as newer', () => {
  const bytes = encode({ id: 'x' });
  bytes[1] = WIRE_VERSION + 1;
  bytes[0] = 0x99; // nine fields
  const envelope = new Envelope(Buffer.concat([bytes, Buffer.from([0xc0, 0xc0])]));
  expect(envelope.isReadable).toBe(false);
  expect([envelope.version, envelope.task, envelope.ttlMs, envelope.attempt, envelope.id]).toEqual([
    WIRE_VERSION + 1,
    'charge',
    900_000,
    1,
    'x',
  ]);
});

describe('a malformed message', () => {
  test.each<[string, Uint8Array]>([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('hello')],
    ['JSON', Buffer.from('{"task":"charge"}')],
    ['zeros', Buffer.alloc(64)],
    ['0xff', Buffer.alloc(64, 0xff)],
    ['an array of the wrong length', Buffer.from([0x96, 1, 0xa1, 0x78, 0, 1, 0xc0, 0xc0])],
    ['an array whose first value is not a version', Buffer.from([0x97, 0xa1, 0x78, 0, 1, 0xc0, 0xc0, 0x80])],
    ['a name that is a number', Buffer.from([0x97, 1, 7, 0, 1, 0xc0, 0xc0, 0x80])],
    ['a lifetime that is text', Buffer.from([0x97, 1, 0xa1, 0x78, 0xa1, 0x78, 1, 0xc0, 0xc0, 0x80])],
    ['a name that is longer than the message', Buffer.from([0x97, 1, 0xda, 0xff, 0xff, 0x78])],
  ])('that is %s is refused', (_what, bytes) => {
    expect(() => new Envelope(bytes)).toThrow(UndecodableValueError);
  });

  test('that is cut off anywhere before its arguments is refused', () => {
    const bytes = encode({ id: 'an id', ttlMs: 70_000 });
    const argumentsAt = bytes.length - new Envelope(bytes).args.length;
    for (let length = 0; length <= argumentsAt; length++) {
      expect(() => readAll(bytes.subarray(0, length)), `${length} bytes`).toThrow(UndecodableValueError);
    }
    for (let length = argumentsAt + 1; length < bytes.length; length++) {
      expect(() => decodeValue(readAll(bytes.subarray(0, length)).args), `${length} bytes`).toThrow(
        UndecodableValueError,
      );
    }
  });

  test('with any byte changed causes no error but an UndecodableValueError', () => {
    const bytes = encode({ id: 'an id', args: RICH });
    for (let at = 0; at < bytes.length; at++) {
      for (const value of [0x00, 0x7f, 0x80, 0x97, 0xc0, 0xc1, 0xd9, 0xdf, 0xff]) {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        try {
          decodeValue(readAll(changed).args);
        } catch (error) {
          expect(error, `byte ${at} = ${value}`).toBeInstanceOf(UndecodableValueError);
        }
      }
    }
  });
});

function readAll(bytes: Buffer): Envelope {
  const envelope = new Envelope(bytes);
  void [envelope.id, envelope.rest, envelope.args];
  return envelope;
}

describe('the headers of a message', () => {
  const LINES = `traceparent: 00-${'a'.repeat(32)}-${'b'.repeat(16)}-01\ntracestate: vendor=x`;

  test.each([null, '', 'traceparent: x', LINES, 'x'.repeat(31), 'x'.repeat(256), 'x'.repeat(65_535)])(
    'are read as they were written, beside plain and rich arguments',
    (headers) => {
      for (const args of [PLAIN, RICH]) {
        const bytes = encodeEnvelope(encoderFor(args, 'args'), 'charge', 0, 'id', args, headers);
        const envelope = new Envelope(bytes);
        expect(envelope.headers).toBe(headers);
        expect(decodeValue(envelope.args)).toEqual(args);
      }
    },
  );

  test('are passed on to the next attempt, and to the next run with its new arguments', () => {
    const first = new Envelope(encodeEnvelope(encoderFor(PLAIN, 'args'), 'charge', 0, 'id', PLAIN, LINES));
    expect(new Envelope(withAttempt(first, 2)).headers).toBe(LINES);
    const args = encoderFor(RICH, 'args').pack(RICH);
    const next = new Envelope(withAttempt(first, 1, args));
    expect([next.headers, decodeValue(next.args)]).toEqual([LINES, RICH]);
  });
});

describe('the overrides of a message', () => {
  const OVERRIDES = '{"timeoutMs":5}';
  const encoded = (overrides: string | null, headers: string | null = null, args: object = PLAIN) =>
    new Envelope(encodeEnvelope(encoderFor(args, 'args'), 'charge', 7, 'id', args, headers, overrides));

  test('make it one of the second version, and a message without any stays one of the first', () => {
    expect([encoded(OVERRIDES).version, encoded(null).version]).toEqual([2, 1]);
    expect([encoded(OVERRIDES).isReadable, encoded(null).isReadable]).toEqual([true, true]);
    expect(encoded(null).overrides).toBeNull();
  });

  test.each(['', OVERRIDES, 'x'.repeat(31), 'ü'.repeat(500)])('are read as they were written: %s', (overrides) => {
    for (const args of [PLAIN, RICH]) {
      const { id, headers, overrides: read, args: bytes } = encoded(overrides, 'a: b', args);
      expect([id, headers, read]).toEqual(['id', 'a: b', overrides]);
      expect(decodeValue(bytes)).toEqual(args);
    }
  });

  test('are passed on to the next attempt, and to the next run with its new arguments', () => {
    const first = encoded(OVERRIDES, 'a: b');
    const args = encoderFor(RICH, 'args').pack(RICH);
    const attempts = [withAttempt(first, 2), withAttempt(first, 1, args)].map((bytes) => new Envelope(bytes));
    expect(attempts.map(({ overrides, headers }) => [overrides, headers])).toEqual([
      [OVERRIDES, 'a: b'],
      [OVERRIDES, 'a: b'],
    ]);
    expect(attempts.map((envelope) => decodeValue(envelope.args))).toEqual([PLAIN, RICH]);
  });

  test('can be other ones in the next run, beside the same headers and arguments', () => {
    const next = new Envelope(withOverrides(encoded(OVERRIDES, 'a: b'), '{"timeoutMs":6}'));
    expect([next.version, next.attempt, next.id, next.headers]).toEqual([2, 1, 'id', 'a: b']);
    expect([next.overrides, decodeValue(next.args)]).toEqual(['{"timeoutMs":6}', PLAIN]);
    const args = encoderFor(RICH, 'args').pack(RICH);
    expect(decodeValue(new Envelope(withOverrides(next, OVERRIDES, args)).args)).toEqual(RICH);
  });

  test('make a message that is cut off, or has a field too few, one that is refused', () => {
    const { bytes, args } = encoded(OVERRIDES);
    for (let length = 0; length <= bytes.length - args.length; length++) {
      expect(() => new Envelope(bytes.subarray(0, length)), `${length} bytes`).toThrow(UndecodableValueError);
    }
    const short = Buffer.from(bytes);
    short[0] = 0x97;
    expect(() => new Envelope(short)).toThrow('7 fields instead of 8');
  });

  test('that are not text are refused when they are read', () => {
    const { bytes } = encoded('');
    const at = bytes.length - encoded('').args.length - 1;
    bytes[at] = 0xc0; // nil where the empty text was
    expect(() => new Envelope(bytes).overrides).toThrow(UndecodableValueError);
  });
});
