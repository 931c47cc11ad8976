import { expect, test } from 'vitest';
import { z } from 'zod';
import { InvalidArgumentsError } from '../../../src/core/errors.js';
import { type AnySchema, type SchemaIssue, validateArguments } from '../../../src/tasks/schema.js';

function schemaWith(...issues: SchemaIssue[]): AnySchema {
  return { '~standard': { version: 1, vendor: 'test', validate: () => ({ issues }) } };
}

test.each<[SchemaIssue['path'], string]>([
  [undefined, ''],
  [[], ''],
  [['orderId'], 'orderId'],
  [['items', 0, 'price'], 'items[0].price'],
  [[{ key: 'items' }, { key: 2 }], 'items[2]'],
  [[Symbol('tag')], 'Symbol(tag)'],
])('the issue at %o is reported at %j', (path, told) => {
  const issue: SchemaIssue = path === undefined ? { message: 'no' } : { message: 'no', path };
  const check = () => validateArguments('bill', schemaWith(issue), {});
  expect(check).toThrow(InvalidArgumentsError);
  expect(check).toThrow(expect.objectContaining({ issues: [{ path: told, message: 'no' }] }));
});

test('the error lists all issues', () => {
  const schema = schemaWith({ message: 'is missing', path: ['a'] }, { message: 'too many' });
  expect(() => validateArguments('bill', schema, {})).toThrow(
    "the arguments of 'bill' do not match its input: a: is missing; too many",
  );
});

test('the output of a synchronous schema is returned at once', () => {
  expect(validateArguments('bill', z.object({ n: z.coerce.number() }), { n: '1' })).toEqual({ n: 1 });
});

test('the output of an asynchronous schema is returned as a promise', async () => {
  const schema = z.object({ n: z.number().refine(async (n) => n > 0, 'must be positive') });
  const standard: AnySchema = {
    '~standard': {
      ...schema['~standard'],
      validate: (it) =>
        schema.safeParseAsync(it).then(({ data, error }) => (error ? { issues: error.issues } : { value: data })),
    },
  };
  expect(await validateArguments('bill', standard, { n: 1 })).toEqual({ n: 1 });
  await expect(validateArguments('bill', standard, { n: 0 })).rejects.toThrow('n: must be positive');
});
