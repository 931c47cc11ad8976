import { expect, test } from 'vitest';
import { readLogCall } from '../../../src/thread/log-call.js';

const error = new TypeError('no such order', { cause: new Error('a deeper reason') });
const err = expect.stringMatching(/^TypeError: no such order\n.*log-call\.test\.ts[\s\S]*a deeper reason/);

test.each<[string, unknown[], object]>([
  ['a message', ['done'], { message: 'done', fields: {} }],
  ['fields and a message', [{ n: 1, more: [1] }, 'done'], { message: 'done', fields: { n: 1, more: '[ 1 ]' } }],
  ['fields alone', [{ n: 1 }], { message: '', fields: { n: 1 } }],
  ['fields with a message among them', [{ n: 1, msg: 'done' }], { message: 'done', fields: { n: 1 } }],
  ['fields that hold a function', [{ f() {} }], { message: '', fields: { f: '[Function: f]' } }],
  ['an error', [error], { message: 'no such order', fields: { err } }],
  ['an error and a message', [error, 'charging'], { message: 'charging', fields: { err } }],
  ['an error in `err`', [{ err: error }], { message: 'no such order', fields: { err } }],
  ['an error in another field', [{ error }, 'x'], { message: 'x', fields: { error: err } }],
  ['placeholders', ['%s of %d: %j', 'a', 2, { b: 3 }], { message: 'a of 2: {"b":3}', fields: {} }],
  ['fields and placeholders', [{ n: 1 }, 'a %s', 'b'], { message: 'a b', fields: { n: 1 } }],
  ['a percent sign alone', ['100 %s'], { message: '100 %s', fields: {} }],
  ['a value without a placeholder', ['a', 'b'], { message: 'a b', fields: {} }],
  [
    'an error without a placeholder',
    ['charging', error],
    { message: expect.stringContaining('no such order'), fields: {} },
  ],
  ['nothing', [], { message: '', fields: {} }],
  ['undefined', [undefined, 'a'], { message: 'a', fields: {} }],
  ['null', [null], { message: 'null', fields: {} }],
  ['a number', [7], { message: '7', fields: {} }],
  ['a symbol', [Symbol('s')], { message: 'Symbol(s)', fields: {} }],
])('a log call with %s is read as pino reads it', (_, args, line) => {
  expect(readLogCall(args)).toEqual(line);
});

const refuse = (): never => {
  throw new Error('not readable');
};
const traps = Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((name) => [name, refuse]));

test.each<[string, unknown[]]>([
  ['a getter that throws', [Object.defineProperty({ n: 1 }, 'bad', { enumerable: true, get: refuse }), 'x']],
  ['a value that cannot be inspected', [{ n: { [Symbol.for('nodejs.util.inspect.custom')]: refuse } }, 'x']],
  ['an error whose message throws', [Object.defineProperty(new Error(), 'message', { get: refuse })]],
  ['an object that refuses everything', [new Proxy({}, traps), 'x']],
  ['an error that refuses everything', [new Proxy(new Error(), traps)]],
  ['a value whose text throws', ['%s', { toString: refuse, [Symbol.toPrimitive]: refuse }]],
])('a log call with %s does not throw, and its line can cross to the coordinator', (_, args) => {
  const line = readLogCall(args);
  expect(structuredClone(line)).toEqual(line);
});
