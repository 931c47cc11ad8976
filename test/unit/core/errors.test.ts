import { readdirSync, readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import * as errors from '../../../src/core/errors.js';

const CLASSES = Object.entries(errors).filter(([name]) => name !== 'DocketError');

test.each(CLASSES)('%s carries its name as text, which a minifier leaves alone', (name, errorClass) => {
  expect(Object.getOwnPropertyDescriptor(errorClass.prototype, 'name')?.get).toBeDefined();
  expect(errorClass.prototype.name).toBe(name);
});

test('every error class is a DocketError with a code, except for what the command line and the dashboard show, and causes', () => {
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => /\.ts$/.test(name));
  const others = sources.flatMap((name) =>
    [...readFileSync(`src/${name}`, 'utf8').matchAll(/class (\w+)(?:<.*>)? extends \w*Error\b/g)].flatMap(
      ([text, own]) => (text.endsWith('extends DocketError') ? [] : [own]),
    ),
  );
  // What a search for a master fails with becomes the cause of a RedisUnavailableError.
  const causes = ['MasterNotFoundError', 'NoAnswerError', 'SlotUnserved', 'UnknownMaster'];
  expect(others.sort()).toEqual(['ApiError', 'CommandError', 'DocketError', 'Refusal', ...causes].sort());
});

test('errors keep their identity on their way when a minifier has renamed their classes', async () => {
  vi.resetModules();
  const minified: typeof errors = await import('../../../src/core/errors.js');
  for (const [i, errorClass] of Object.values(minified).entries()) {
    Object.defineProperty(errorClass, 'name', { value: `D${i}` });
  }
  const { decodeError, encodeError } = await import('../../../src/wire/codec.js');
  const thrown = new minified.PoisonedError('k', 5);
  expect(thrown.name).toBe('PoisonedError');
  expect(thrown.stack).toMatch(/^PoisonedError: /);
  const bytes = encodeError(thrown);
  expect(decodeError(bytes)).toBeInstanceOf(minified.PoisonedError);
  vi.resetModules();
  const plain: typeof import('../../../src/wire/codec.js') = await import('../../../src/wire/codec.js');
  const { PoisonedError } = await import('../../../src/core/errors.js');
  expect(plain.decodeError(bytes)).toBeInstanceOf(PoisonedError); // a process that runs another bundle, or none
});

test('an error has the link to the section of its code, which is no field of its own and does not travel', () => {
  const error = new errors.DocketClosedError();
  expect(error.url).toMatch(/\/docs\/troubleshooting\.md#docket_closed$/);
  expect(Object.keys(error)).not.toContain('url');
});
