import { type AddOptions, call, collection, DocketError, task } from 'docket';
import { describe, expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeEachServer } from '../support/suites.js';

const note = task('note', (_args: { value?: unknown }) => {});

class Customer {
  constructor(readonly id = 1) {}
}

const revoked = (() => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
})();

/** What is wrong, the arguments and options of the `add`, and what its error says. */
const BAD: readonly [what: string, args: unknown, options: unknown, code: string, message: RegExp][] = [
  ['a function', { value: () => {} }, {}, 'UNENCODABLE_VALUE', /^args\.value .*function/],
  ['a nested function', { value: { on: [0, { done() {} }] } }, {}, 'UNENCODABLE_VALUE', /^args\.value\.on\[1\]\.done /],
  ['a symbol', { value: Symbol('s') }, {}, 'UNENCODABLE_VALUE', /^args\.value .*symbol/],
  ['a class instance', { value: new Customer() }, {}, 'UNENCODABLE_VALUE', /^args\.value .*Customer/],
  ['a promise', { value: Promise.resolve(1) }, {}, 'UNENCODABLE_VALUE', /^args\.value .*[Pp]romise/],
  ['a WeakMap', { value: new WeakMap() }, {}, 'UNENCODABLE_VALUE', /^args\.value .*WeakMap/],
  ['an own __proto__', { value: JSON.parse('{"__proto__":{}}') }, {}, 'UNENCODABLE_VALUE', /^args\.value.*__proto__/],
  [
    'a getter that throws',
    {
      get value() {
        throw new Error('no');
      },
    },
    {},
    'UNENCODABLE_VALUE',
    /^args\.value /,
  ],
  ['a revoked proxy', { value: revoked }, {}, 'UNENCODABLE_VALUE', /^args\.value /],
  [
    'two mebibytes',
    { value: 'x'.repeat(2 ** 21) },
    {},
    'PAYLOAD_TOO_LARGE',
    /'note' take 20971\d\d bytes, the limit is 1048576/,
  ],
  ['two mebibytes of bytes', { value: Buffer.alloc(2 ** 21) }, {}, 'PAYLOAD_TOO_LARGE', /the limit is 1048576/],

  ['null for arguments', null, {}, 'INVALID_OPTION', /^args: .*got null/],
  ['an array for arguments', [1], {}, 'INVALID_OPTION', /^args: .*got an array/],
  ['text for arguments', 'text', {}, 'INVALID_OPTION', /^args: .*got string/],
  ['a number for arguments', 7, {}, 'INVALID_OPTION', /^args: .*got number/],
  ['a function for arguments', () => {}, {}, 'INVALID_OPTION', /^args: .*got function/],
  ['a Map for arguments', new Map(), {}, 'INVALID_OPTION', /^args: .*got .*Map/],
  ['a Date for arguments', new Date(), {}, 'INVALID_OPTION', /^args: .*got .*Date/],
  ['a Buffer for arguments', Buffer.alloc(1), {}, 'INVALID_OPTION', /^args: .*got Uint8Array/],
  ['an Error for arguments', new Error('x'), {}, 'INVALID_OPTION', /^args: .*got .*Error/],
  ['a class instance for arguments', new Customer(), {}, 'UNENCODABLE_VALUE', /^args is an instance of Customer/],

  ['an empty key', {}, { key: '' }, 'INVALID_OPTION', /^key: /],
  ['a key of 513 bytes', {}, { key: 'x'.repeat(513) }, 'INVALID_OPTION', /^key: .*512 bytes, got 513/],
  ['a key of 514 bytes in 257 characters', {}, { key: 'ü'.repeat(257) }, 'INVALID_OPTION', /^key: .*got 514/],
  ['a key that is a number', {}, { key: 7 }, 'INVALID_OPTION', /^key: /],
  ['null for a key', {}, { key: null }, 'INVALID_OPTION', /^key: /],
  ['a key with half a surrogate pair', {}, { key: 'a\ud800' }, 'INVALID_OPTION', /^key: .*surrogate/],

  ['once without a key', {}, { once: true }, 'INVALID_OPTION', /^once: needs a key/],
  ['once that is text', {}, { key: 'k', once: 'yes' }, 'INVALID_OPTION', /^once: expected true or false, got string/],

  ['an invalid date', {}, { when: new Date('someday') }, 'INVALID_OPTION', /^when: .*date/],
  ['a negative duration', {}, { when: -1 }, 'INVALID_OPTION', /^when: .*-1/],
  ['a negative duration in words', {}, { when: '-5s' }, 'INVALID_OPTION', /^when: .*'-5s'/],
  ['NaN for a duration', {}, { when: Number.NaN }, 'INVALID_OPTION', /^when: .*NaN/],
  ['an infinite duration', {}, { when: Number.POSITIVE_INFINITY }, 'INVALID_OPTION', /^when: .*Infinity/],
  ['a duration beyond all dates', {}, { when: 1e20 }, 'INVALID_OPTION', /^when: /],
  ['a duration beyond all dates in days', {}, { when: '999999999999d' }, 'INVALID_OPTION', /^when: /],
  ['a duration without a unit', {}, { when: '5' }, 'INVALID_OPTION', /^when: .*'5'/],
  ['a unit that is none', {}, { when: '5 fortnights' }, 'INVALID_OPTION', /^when: /],
  ['null for a time', {}, { when: null }, 'INVALID_OPTION', /^when: .*null/],
  ['an object for a time', {}, { when: {} }, 'INVALID_OPTION', /^when: /],
];

describeEachServer('input:', (url) => {
  const stage = setStage(url);

  async function refusalOf(adding: () => Promise<unknown>): Promise<DocketError> {
    const error = await adding().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DocketError);
    return error as DocketError;
  }

  describe.each(BAD)('%s', (_what, args, options, code, message) => {
    test('is refused by add', async () => {
      const docket = stage.docket();
      const error = await refusalOf(() => docket.add(note, args as object, options as AddOptions));
      expect(error).toMatchObject({ code: `DOCKET_${code}`, message: expect.stringMatching(message) });
      expect(await stage.keys()).toEqual([]);
    });

    test('is refused by addMany, and nothing of the batch is written', async () => {
      const docket = stage.docket();
      const good = [call(note, { value: 1 }), call(note, {}, { key: 'k' }), call(note, {}, { when: '1h' })];
      const bad = call(note, args as object, options as AddOptions);
      const error = await refusalOf(() => docket.addMany([...good, bad, ...good]));
      expect(error).toMatchObject({ code: `DOCKET_${code}`, message: expect.stringMatching(message) });
      expect(await stage.keys()).toEqual([]);
    });
  });

  test('once is refused where no record is kept after the end, and by replace', async () => {
    const lean = stage.docket({ executionTtl: 0 });
    const error = await refusalOf(() => lean.add(note, {}, { key: 'k', once: true }));
    expect(error.message).toMatch(/^once: needs an executionTtl/);
    const options = { key: 'k', once: true };
    const replaced = await refusalOf(() => stage.docket().replace(note, {}, options));
    expect(replaced.message).toMatch(/once/);
    expect(await stage.keys()).toEqual([]);
  });

  test('a cycle is taken', async () => {
    const value: { self?: unknown } = {};
    value.self = value;
    expect((await stage.docket().add(note, { value })).disposition).toBe('scheduled');
  });

  test('a refused value is named by the path of its field, also as a property', async () => {
    const error = await refusalOf(() => stage.docket().add(note, { value: [{ 'odd key': () => {} }] }));
    expect(error).toMatchObject({ name: 'UnencodableValueError', path: `args.value[0]["odd key"]` });
  });

  test('a payload is taken up to the maximum of its docket', async () => {
    const docket = stage.docket({ maxPayloadBytes: 1_000 });
    await docket.add(note, { value: 'x'.repeat(900) });
    const error = await refusalOf(() => docket.add(note, { value: 'x'.repeat(1_000) }));
    expect(error).toMatchObject({ code: 'DOCKET_PAYLOAD_TOO_LARGE', task: 'note', limit: 1_000 });
    expect(await (await stage.redis()).xlen(stage.key('work'))).toBe(1);
  });

  test('a key of 512 bytes is taken', async () => {
    expect((await stage.docket().add(note, {}, { key: 'ü'.repeat(256) })).key).toHaveLength(256);
  });

  test('an unknown task is refused by a docket that knows its tasks', async () => {
    const docket = stage.docket({ tasks: collection(note) });
    const error = await refusalOf(() => docket.add('nota' as never));
    expect(error).toMatchObject({
      code: 'DOCKET_TASK_NOT_FOUND',
      task: 'nota',
      message: expect.stringContaining('note'),
    });
    const batch = [call(note), { task: 'nota' as never, args: {} }];
    expect(await refusalOf(() => docket.addMany(batch))).toMatchObject({ code: 'DOCKET_TASK_NOT_FOUND' });
    expect(await stage.keys()).toEqual([]);
  });

  test.each([
    ['empty', ''],
    ['too long', 'ü'.repeat(257)],
    ['with a control character', 'a\nb'],
    ['with half a surrogate pair', 'a\ud800'],
    ['a number', 7],
    ['a function', () => {}],
    ['null', null],
    ['undefined', undefined],
    ['an object', { name: 'note' }],
  ])('what is neither a task nor the name of one is refused: %s', async (_what, name) => {
    const error = await refusalOf(() => stage.docket().add(name as never));
    expect(error).toMatchObject({ code: 'DOCKET_INVALID_OPTION', message: expect.stringMatching(/^(task|name): /) });
    expect(await stage.keys()).toEqual([]);
  });

  test.each([[''], ['x'.repeat(513)], [undefined]])('what cannot be a key is refused by getExecution', async (key) => {
    const error = await refusalOf(() => stage.docket().getExecution(key as string));
    expect(error).toMatchObject({ code: 'DOCKET_INVALID_OPTION', option: 'key' });
  });
});
