/** Whatever bytes stand where a value, an error or a message should, reading them is safe; and what was written is read whole. */
import { inspect, isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InvalidOptionError, UndecodableValueError, UnencodableValueError } from '../../../src/core/errors.js';
import { argumentsOf } from '../../../src/redis/failure-store.js';
import {
  decodeError,
  decodeValue,
  encodeError,
  encoderFor,
  encodeValue,
  stackOfError,
} from '../../../src/wire/codec.js';
import { EXTENSION } from '../../../src/wire/encodable.js';
import { Envelope, encodeEnvelope, withAttempt } from '../../../src/wire/envelope.js';
import { argumentNames, pickArguments } from '../../../src/wire/pick.js';
import {
  describeStrike,
  operandOf,
  parseStrike,
  type StrikeOperand,
  type StrikeOperator,
  strikeOf,
  struckBy,
} from '../../../src/wire/strikes.js';
import { whereOf } from '../../../src/wire/where.js';
import { anyBytes, anyText, anyValue, damaged, holds, PATIENCE_MS } from '../../support/properties.js';

/** The bytes of a value; those of `null` when it cannot travel. */
function bytesOf(value: unknown): Buffer {
  try {
    return encodeValue(value, 'value');
  } catch (error) {
    if (error instanceof UnencodableValueError) return encodeValue(null, 'value');
    throw error;
  }
}

/** Whether two values are alike. Two invalid Dates are, although Node does not think so. */
function isSame(a: unknown, b: unknown): boolean {
  const WHOLE = { depth: null, maxArrayLength: null, maxStringLength: null } as const;
  return isDeepStrictEqual(a, b) || inspect(a, WHOLE) === inspect(b, WHOLE);
}

const valueBytes = anyValue.map(bytesOf);
const hostileBytes = fc.oneof(anyBytes, damaged(valueBytes));
const record = fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), anyValue, {
  maxKeys: 6,
  noNullPrototype: true,
});

/** Anything that a task may throw. */
const thrown: fc.Arbitrary<unknown> = fc.oneof(
  anyValue,
  fc
    .tuple(fc.constantFrom(Error, TypeError, RangeError), anyText, record, fc.option(anyValue))
    .map(([Kind, message, fields, cause]) => {
      const { stack: _, message: __, ...others } = fields;
      return Object.assign(new Kind(message, { cause }), others);
    }),
);

interface Parts {
  readonly task: string;
  readonly ttlMs: number;
  readonly id: string | null;
  readonly headers: string | null;
  readonly overrides: string | null;
}

const parts: fc.Arbitrary<Parts> = fc.record({
  task: fc.string({ unit: 'grapheme', maxLength: 100 }),
  ttlMs: fc.nat({ max: 4e9 }),
  id: fc.option(fc.string({ maxLength: 40 })),
  headers: fc.option(fc.string({ maxLength: 300 })),
  overrides: fc.option(fc.string({ maxLength: 300 })),
});

function messageOf({ task, ttlMs, id, headers, overrides }: Parts, args: object): Buffer {
  return encodeEnvelope(encoderFor(args, 'args'), task, ttlMs, id, args, headers, overrides);
}

const messages = fc.tuple(parts, record).map(([given, args]) => {
  try {
    return messageOf(given, args);
  } catch (error) {
    if (error instanceof UnencodableValueError) return messageOf(given, {});
    throw error;
  }
});

describe('the codec', { timeout: PATIENCE_MS }, () => {
  test('reads back whole what it wrote, and refuses by its own error what cannot travel', () => {
    holds(
      anyValue,
      (value) => {
        const read = decodeValue(encodeValue(value, 'value'));
        if (!isSame(read, value)) throw new Error('another value');
      },
      [UnencodableValueError],
    );
    expect(decodeValue(encodeValue({ a: [1n, new Date(0)] }, 'value'))).toEqual({ a: [1n, new Date(0)] });
  });

  test('returns a value or an UndecodableValueError for any bytes', () => {
    holds(hostileBytes, decodeValue, [UndecodableValueError]);
    expect(() => decodeValue(Buffer.from([0xc1]))).toThrow(UndecodableValueError);
  });

  test('writes anything that is thrown, and reads errors from any bytes', () => {
    holds(thrown, (error) => decodeError(encodeError(error)));
    holds(fc.oneof(anyBytes, damaged(thrown.map(encodeError))), decodeError, [UndecodableValueError]);
    holds(fc.oneof(anyBytes, damaged(thrown.map(encodeError))), (bytes) => stackOfError(bytes), []);
    expect(encodeError(new Error('x')).length).toBeGreaterThan(0);
  });

  test('never changes a prototype, whatever the bytes are', () => {
    holds(hostileBytes, decodeValue, [UndecodableValueError]);
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(Object.keys(Array.prototype)).toEqual([]);
  });
});

describe('a message', { timeout: PATIENCE_MS }, () => {
  test('is read back whole', () => {
    holds(fc.tuple(parts, record), ([given, args]) => {
      let bytes: Buffer;
      try {
        bytes = messageOf(given, args);
      } catch (error) {
        if (error instanceof UnencodableValueError) return;
        throw error;
      }
      const { task, ttlMs, id, headers, overrides, args: encoded } = new Envelope(withAttempt(new Envelope(bytes), 7));
      expect({ task, ttlMs, id, headers, overrides }).toEqual(given);
      expect(isSame(decodeValue(encoded), args)).toBe(true);
    });
  });

  test('is read from any bytes without another error than an UndecodableValueError', () => {
    const read = (bytes: Buffer) => {
      const envelope = new Envelope(bytes);
      const { id, headers, overrides, args, rest } = envelope;
      withAttempt(envelope, 2);
      return [id, headers, overrides, args, rest];
    };
    holds(fc.oneof(anyBytes, damaged(messages)), read, [UndecodableValueError]);
    holds(anyBytes, (message) => argumentsOf({ message }), [UndecodableValueError]);
    expect(() => read(Buffer.alloc(0))).toThrow(UndecodableValueError);
  });

  test('is compared with arguments that are asked for, whatever its bytes are', () => {
    const asked = whereOf({ a: 1, b: 'x' })!;
    holds(fc.oneof(anyBytes, damaged(messages)), (bytes) => {
      if (typeof asked(bytes) !== 'boolean') throw new Error('no answer');
    });
    expect(asked(Buffer.alloc(0))).toBe(false);
  });
});

describe('single arguments', { timeout: PATIENCE_MS }, () => {
  const names = fc.array(fc.oneof(fc.constantFrom('', 'a', '__proto__', 'constructor'), fc.string({ maxLength: 8 })), {
    maxLength: 4,
  });

  test('are picked from any bytes without another error than an UndecodableValueError', () => {
    holds(fc.tuple(hostileBytes, names), ([bytes, wanted]) => pickArguments(bytes, wanted), [UndecodableValueError]);
    holds(hostileBytes, argumentNames, [UndecodableValueError]);
    expect(() => argumentNames(Buffer.alloc(0))).toThrow(UndecodableValueError);
  });

  test('are those that the whole value has', () => {
    holds(
      record,
      (args) => {
        const bytes = encodeValue(args, 'args');
        expect(argumentNames(bytes).sort()).toEqual(Object.keys(args).sort());
        for (const [name, { type, value }] of pickArguments(bytes, Object.keys(args))) {
          const scalar = args[name] instanceof Date ? (args[name] as Date).getTime() : args[name];
          if (type !== 'other') expect(isDeepStrictEqual(value, scalar)).toBe(true);
        }
      },
      [UnencodableValueError],
    );
  });
});

describe('a strike', { timeout: PATIENCE_MS }, () => {
  const scalar = fc.oneof(
    anyText,
    fc.double(),
    fc.integer(),
    fc.bigInt(),
    fc.boolean(),
    fc.date({ noInvalidDate: false }),
    fc.constant(null),
  );
  const operand = fc.oneof(scalar, fc.tuple(scalar, scalar), anyValue) as fc.Arbitrary<StrikeOperand>;
  const operator = fc.constantFrom('==', '!=', '<', '<=', '>', '>=', 'between', 'like') as fc.Arbitrary<StrikeOperator>;

  test('is refused by its own error, or comes back from its canonical text', () => {
    holds(
      fc.tuple(fc.option(anyText), fc.option(anyText), operator, operand),
      (given) => {
        const strike = strikeOf(...given);
        const again = parseStrike(strike.field);
        if (!again || again.field !== strike.field) throw new Error(`another strike than ${strike.field}`);
        if (strike.test) operandOf(strike.test);
        describeStrike(strike);
        struckBy(strike);
      },
      [InvalidOptionError],
    );
    expect(parseStrike(strikeOf('t').field)?.task).toBe('t');
  });

  test('is read from any text, or is none', () => {
    const texts = fc.oneof(
      anyText,
      fc.json(),
      fc.array(fc.jsonValue(), { maxLength: 5 }).map((it) => JSON.stringify(it)),
    );
    holds(texts, (text) => {
      const strike = parseStrike(text);
      if (strike) describeStrike(strike);
    });
    expect(parseStrike('["a","b","==",{"date":1e99}]')).toBeNull();
  });
});

describe('bytes without end', { timeout: PATIENCE_MS }, () => {
  const MEBIBYTE = 1024 * 1024;
  const readers: Readonly<Record<string, (bytes: Buffer) => unknown>> = {
    decodeValue,
    decodeError: (bytes) => decodeError(bytes),
    argumentNames,
    pickArguments: (bytes) => pickArguments(bytes, ['a']),
    Envelope: (bytes) => new Envelope(bytes),
    stackOfError: (bytes) => stackOfError(bytes) ?? decodeError(bytes),
  };

  /** Each level opens the next one. */
  const LEVELS: Readonly<Record<string, readonly number[]>> = {
    arrays: [0x91],
    records: [0x81, 0xa1, 0x61],
    'long arrays': [0xdd, 0, 0, 0, 1],
    'long records': [0xdf, 0, 0, 0, 1, 0xa1, 0x61],
  };

  test.each(Object.keys(LEVELS))(
    'that are 10,000 levels of %s are refused by every reader, without a deep stack',
    (kind) => {
      const bytes = Buffer.concat(Array.from({ length: 10_000 }, () => Buffer.from(LEVELS[kind]!)));
      for (const read of Object.values(readers)) expect(() => read(bytes)).toThrow(UndecodableValueError);
    },
  );

  test('that are 10,000 nested extensions are refused, too', () => {
    let value = Buffer.from([0xc0]);
    for (let i = 0; i < 10_000; i++) {
      const head = Buffer.alloc(6);
      head[0] = 0xc9;
      head.writeUInt32BE(value.length, 1);
      head[5] = EXTENSION.set;
      value = Buffer.concat([head, value]);
    }
    for (const read of Object.values(readers)) expect(() => read(value)).toThrow(UndecodableValueError);
  });

  test('that are 100 MiB of one text are refused by readers of structure, and read once by the others', () => {
    const bytes = Buffer.alloc(100 * MEBIBYTE, 0x61);
    bytes[0] = 0xdb;
    bytes.writeUInt32BE(bytes.length - 5, 1);
    expect((decodeValue(bytes) as string).length).toBe(bytes.length - 5);
    for (const name of ['argumentNames', 'pickArguments', 'Envelope']) {
      expect(() => readers[name]!(bytes)).toThrow(UndecodableValueError);
    }
  });

  test('that announce 4 GiB of anything reserve nothing for it', () => {
    const memory = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    for (const type of [0xc6, 0xc9, 0xdb, 0xdd, 0xdf]) {
      const before = memory();
      const bytes = Buffer.from([type, 0xff, 0xff, 0xff, 0xff, EXTENSION.arrayBuffer]);
      for (const read of Object.values(readers)) expect(() => read(bytes)).toThrow(UndecodableValueError);
      expect(memory() - before).toBeLessThan(64 * MEBIBYTE);
    }
  });

  test('that cannot be arguments are skipped by the coordinator without decoding them', () => {
    const bytes = Buffer.alloc(100 * MEBIBYTE, 0x90); // a hundred million empty arrays
    bytes.set([0x81, 0xa1, 0x62, 0xdd, 0xff, 0xff, 0xff, 0xff]);
    const before = process.memoryUsage().heapUsed;
    expect(() => pickArguments(bytes, ['a'])).toThrow(UndecodableValueError);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * MEBIBYTE);
  });
});
