import { expect, test } from 'vitest';
import { InvalidOptionError } from '../../../src/core/errors.js';
import { CONTEXT_NAMES } from '../../../src/tasks/context.js';
import { dependencyOf, depends, shared } from '../../../src/tasks/dependencies.js';
import { AttemptContext } from '../../../src/thread/context.js';

test('a dependency keeps its factory and the dependencies it uses', () => {
  const factory = () => 1;
  const config = depends(factory);
  expect(dependencyOf(config)).toEqual({ kind: 'depends', factory, uses: {} });
  const nested = depends(() => 2, { uses: { config } });
  expect(dependencyOf(nested)).toMatchObject({ uses: { config } });
  expect(dependencyOf(shared(factory))).toEqual({ kind: 'shared', factory, uses: {} });
  const pool = shared(factory);
  expect(dependencyOf(shared(() => 2, { uses: { pool } }))).toMatchObject({ kind: 'shared', uses: { pool } });
});

test('a circle of dependencies is refused with an explanation', () => {
  // This is how a circle looks, as with modules that import each other: one of them is not there yet.
  const later = undefined as never;
  expect(() => shared(() => 1, { uses: { later } })).toThrow(
    'shared.uses.later: is undefined: declare it before its user. Dependencies cannot use each other in a circle',
  );
});

test('a dependency cannot be changed', () => {
  const config = depends(() => 1);
  expect(Object.isFrozen(config)).toBe(true);
  expect(Object.isFrozen(dependencyOf(config))).toBe(true);
});

test.each([
  ['depends', () => depends('factory' as never)],
  ['shared', () => shared(undefined as never)],
  ['depends.uses.logger', () => depends(() => 1, { uses: { logger: depends(() => 2) } })],
  ['depends.uses.db', () => depends(() => 1, { uses: { db: {} as never } })],
  ['depends.uses.later', () => depends(() => 1, { uses: { later: undefined as never } })],
  ['shared.uses.worker', () => shared(() => 1, { uses: { worker: shared(() => 2) } })],
  ['shared.uses.own', () => shared(() => 1, { uses: { own: depends(() => 2) as never } })],
  ['shared.uses', () => shared(() => 1, { uses: 'db' as never })],
  ['shared.use', () => shared(() => 1, { use: {} } as never)],
  ['depends.uses', () => depends(() => 1, { uses: 'db' as never })],
])('an invalid %s is refused at the declaration', (option, declare) => {
  expect(declare).toThrow(InvalidOptionError);
  expect(declare).toThrow(expect.objectContaining({ option }));
});

test('no name of the context is free for a dependency', () => {
  const names = Object.getOwnPropertyNames(AttemptContext.prototype).filter((name) => name !== 'constructor');
  expect([...CONTEXT_NAMES].sort()).toEqual(names.sort());
});
