import { expect, test } from 'vitest';
import { DuplicateTaskError, InvalidOptionError, TaskModuleError } from '../../../src/core/errors.js';
import { builtins } from '../../../src/tasks/builtin.js';
import { collection, collectTasks } from '../../../src/tasks/collection.js';
import { manifestOf } from '../../../src/tasks/manifest.js';
import { retry } from '../../../src/tasks/policies.js';
import { type AnyTask, task } from '../../../src/tasks/task.js';

const one = task('one', { retry: retry({ attempts: 2 }) }, () => 1);
const two = task('two', () => 2);
const otherOne = task('one', () => 3);

test('a collection is a record of tasks by their names', () => {
  expect(collection(one, two)).toEqual({ one, two });
  expect(collection()).toEqual({});
});

test('a task can have any name, such as __proto__', () => {
  const odd = task('__proto__', () => {});
  expect(Object.values(collection(odd))).toEqual([odd]);
});

test('a duplicate name is refused with both positions', () => {
  expect(() => collection(one, two, otherOne)).toThrow(DuplicateTaskError);
  expect(() => collection(one, two, otherOne)).toThrow(/'one' \(arguments 1 and 3 of collection\)/);
});

test('a collection refuses values that are not tasks', () => {
  expect(() => collection(one, {} as never)).toThrow(InvalidOptionError);
  expect(() => collection(one, null as never)).toThrow(/argument 2 is null/);
});

test.each([
  ['a collection', collection(one, two)],
  ['a record under other names', { first: one, second: two }],
  ['an array', [one, two]],
  ['a module namespace', { [Symbol.toStringTag]: 'Module', one, two, limit: 5, default: one }],
])('tasks are collected from %s', (_what, value) => {
  expect([...collectTasks(value, 'tasks')]).toEqual([
    ['one', one],
    ['two', two],
  ]);
});

test('one task counts as a collection of one', () => {
  expect([...collectTasks(one, 'tasks').values()]).toEqual([one]);
});

test('a value that is not a task in a record or an array is refused by its name', () => {
  expect(() => collectTasks({ one, helper: () => {} }, './tasks.js')).toThrow(TaskModuleError);
  expect(() => collectTasks({ one, helper: () => {} }, './tasks.js')).toThrow(/tasks\.js': 'helper' is a function/);
  expect(() => collectTasks([one, undefined], './tasks.js')).toThrow(/'1' is undefined/);
});

test('a value that cannot hold tasks is refused', () => {
  expect(() => collectTasks('one', './tasks.js')).toThrow(/expected a record or an array of tasks, got a string/);
  expect(() => collectTasks(null, './tasks.js')).toThrow(/got null/);
});

test('different tasks of one name are refused with both fields', () => {
  expect(() => collectTasks({ a: one, b: otherOne }, './tasks.js')).toThrow(/'one' \('a' and 'b' of \.\/tasks\.js\)/);
  expect(collectTasks([one, one], './tasks.js').size).toBe(1);
});

test('a manifest has names and policies, as data that can be cloned', () => {
  const tasks = new Map(Object.entries(collection(one, two)));
  expect(structuredClone(manifestOf({ tasks, fallback: null }))).toEqual({
    tasks: [
      { name: 'one', policies: { retry: retry({ attempts: 2 }) } },
      { name: 'two', policies: {} },
    ],
    fallback: null,
  });
  const mixed = new Map<string, AnyTask>([...Object.entries(builtins), ['sleep', one]]);
  expect(manifestOf({ tasks: mixed, fallback: null }).tasks.map(({ name, isBuiltin }) => [name, isBuiltin])).toEqual([
    ['trace', true],
    ['fail', true],
    ['one', undefined],
  ]);
  expect(manifestOf({ tasks, fallback: one }).fallback).toEqual({ retry: retry({ attempts: 2 }) });
  expect(manifestOf({ tasks, fallback: null, onFailed: [() => {}] }).hasOnFailed).toBe(true);
});
