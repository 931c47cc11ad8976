/**
 * Properties of readers: whatever they are given, they return a value or throw the error that they document.
 *
 * The cases are the same in each run, so that a test never fails by chance. `PROPERTY_SEED` and `PROPERTY_RUNS` try other ones.
 */
import fc from 'fast-check';
import { expect } from 'vitest';

const SEED = Number(process.env.PROPERTY_SEED ?? 14);
const PARAMETERS = { seed: SEED, numRuns: Number(process.env.PROPERTY_RUNS ?? 200) };

/** A property tries many cases, which takes long while others need the machine. */
export const PATIENCE_MS = 240_000;

/** Classes of errors that a reader may throw. */
type Kinds = readonly (abstract new (...args: never) => Error)[];

/** Checks that a reader returns, or throws an error of one of these classes. */
export function holds<T>(input: fc.Arbitrary<T>, read: (given: T) => unknown, kinds: Kinds = []): void {
  const property = fc.property(input, (given) => {
    try {
      read(given);
    } catch (error) {
      if (!isOf(error, kinds)) throw error;
    }
  });
  report(fc.check(property, PARAMETERS));
}

/** As `holds`, for a reader that returns a promise. */
export async function holdsAsync<T>(
  input: fc.Arbitrary<T>,
  read: (given: T) => Promise<unknown>,
  kinds: Kinds = [],
): Promise<void> {
  const property = fc.asyncProperty(input, async (given) => {
    try {
      await read(given);
    } catch (error) {
      if (!isOf(error, kinds)) throw error;
    }
  });
  report(await fc.check(property, PARAMETERS));
}

function isOf(error: unknown, kinds: Kinds): boolean {
  return kinds.some((kind) => error instanceof kind);
}

/** Fails with the smallest case that was found, and the seed that finds it again. */
function report<T>(details: fc.RunDetails<[T]>): void {
  const message = details.failed ? fc.defaultReportMessage(details) : '';
  const { errorInstance } = details;
  expect(errorInstance ?? message, message).toBe('');
}

/** Bytes of any kind, and many that begin like something larger. */
export const anyBytes: fc.Arbitrary<Buffer> = fc
  .oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.uint8Array({ maxLength: 2_000 }),
    // The types of msgpack that announce a length, and then some bytes.
    fc
      .tuple(fc.constantFrom(0xc6, 0xc9, 0xdb, 0xdd, 0xdf, 0x9f, 0x8f, 0xd8, 0xc7), fc.uint8Array({ maxLength: 40 }))
      .map(([type, bytes]) => Uint8Array.of(type, ...bytes)),
  )
  .map((bytes) => Buffer.from(bytes));

/** Damages bytes: changes some, cuts some off, or puts some in. */
export function damaged(whole: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Buffer> {
  const change = fc.tuple(fc.constantFrom('set', 'cut', 'insert'), fc.nat(), fc.nat({ max: 255 }));
  return fc.tuple(whole, fc.array(change, { minLength: 1, maxLength: 4 })).map(([bytes, changes]) => {
    let result = Buffer.from(bytes);
    for (const [kind, place, byte] of changes) {
      const at = result.length === 0 ? 0 : place % result.length;
      if (kind === 'cut') result = result.subarray(0, at);
      else if (kind === 'insert') {
        result = Buffer.concat([result.subarray(0, at), Buffer.from([byte]), result.subarray(at)]);
      } else if (result.length > 0) result[at] = byte;
    }
    return result;
  });
}

/** Values of every kind that can travel, nested. Some cannot, such as those with a key `__proto__`. */
export const anyValue: fc.Arbitrary<unknown> = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withUnicodeString: true,
  maxDepth: 4,
});

/** Numbers as text, and texts that are nearly numbers: what stands where a number is expected. */
export const nearlyNumber: fc.Arbitrary<string> = fc.oneof(
  fc.integer().map(String),
  fc.double().map(String),
  fc.bigInt().map(String),
  fc.constantFrom(
    '',
    '0',
    '-1',
    '-0',
    '1e999',
    '-1e999',
    'NaN',
    'Infinity',
    '0x10',
    ' 1',
    '1 ',
    '9'.repeat(400),
    '\0',
    '1\n',
  ),
);

/** Texts of any kind: among them control characters, lone surrogates, markup, JSON, numbers, and text with separators. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)), maxLength: 20 }),
  fc.string({ unit: fc.constantFrom(...' \t\n:;,=@/?#%&|+-*()[]{}<>"\'`\\$~.!0159azAZ_é€'), maxLength: 60 }),
  nearlyNumber,
  fc.json({ maxDepth: 3 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    '<script>alert(1)</script>',
    '\u001b[2J',
    '%',
    '%ff',
    '%2',
    'null',
    '[]',
    '{}',
  ),
);
