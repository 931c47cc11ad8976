import { type } from 'arktype';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { InvalidArgumentsError } from '../../../src/core/errors.js';
import { depends } from '../../../src/tasks/dependencies.js';
import { retry } from '../../../src/tasks/policies.js';
import type { StandardSchema } from '../../../src/tasks/schema.js';
import { task } from '../../../src/tasks/task.js';
import { decodeError, decodeValue } from '../../../src/wire/codec.js';
import { setUp } from '../../support/executor.js';

type Input = { at: string; n?: number | undefined };
type Output = { at: Date; n: number };

const schemas: [string, StandardSchema<Input, Output>][] = [
  ['zod', z.object({ at: z.coerce.date<string>(), n: z.number().default(1) })],
  ['valibot', v.object({ at: v.pipe(v.string(), v.isoDate(), v.toDate()), n: v.optional(v.number(), 1) })],
  ['arktype', type({ at: 'string.date.parse', n: 'number = 1' }) as StandardSchema<Input, Output>],
];

test.each(schemas)('the body gets the output of a schema of %s', async (_, input) => {
  const bill = task('bill', { input }, (args) => args);
  const outcome = await setUp([bill]).outcomeOf('bill', { at: '2026-01-01' });
  expect(outcome.kind === 'completed' && decodeValue(outcome.result!)).toEqual({ at: new Date('2026-01-01'), n: 1 });
});

test.each(schemas)(
  'arguments that do not match a schema of %s fail without a retry, and the body does not run',
  async (_, input) => {
    let ran = 0;
    const bill = task('bill', { input, retry: retry() }, () => void ran++);
    const outcome = await setUp([bill]).outcomeOf('bill', { at: 'soon', n: 'many' });
    expect(outcome.kind).toBe('failed');
    const error = decodeError((outcome as { error: Uint8Array }).error) as InvalidArgumentsError;
    expect(error).toMatchObject({ name: 'InvalidArgumentsError', code: 'DOCKET_INVALID_ARGUMENTS', task: 'bill' });
    expect(error.issues.map(({ path }) => path).sort()).toEqual(['at', 'n']);
    for (const { path, message } of error.issues) expect(error.message).toContain(`${path}: ${message}`);
    expect(ran).toBe(0);
  },
);

test('arguments are checked once, before any dependency is created', async () => {
  const events: string[] = [];
  const input = z.object({ n: z.number() }).refine(() => events.push('checked') > 0);
  const db = depends((args: { n: number }) => void events.push(`db for ${args.n}`));
  const bill = task('bill', { input, uses: { db } }, () => void events.push('body'));
  const { outcomeOf } = setUp([bill]);
  await outcomeOf('bill', { n: 'one' });
  expect(events).toEqual([]);
  await outcomeOf('bill', { n: 1 });
  expect(events).toEqual(['checked', 'db for 1', 'body']);
});

test('a schema can be asynchronous', async () => {
  const input = z.object({ n: z.number().refine(async (n) => n > 0, 'must be positive') });
  const { outcomeOf } = setUp([task('bill', { input }, ({ n }) => n)]);
  expect(await outcomeOf('bill', { n: 1 })).toMatchObject({ kind: 'completed' });
  expect(await outcomeOf('bill', { n: 0 })).toMatchObject({
    kind: 'failed',
    line: "InvalidArgumentsError: the arguments of 'bill' do not match its input: n: must be positive",
  });
});

test('an attempt whose schema throws is retried', async () => {
  const input = z.object({ n: z.number() }).refine(() => {
    throw new Error('the registry is away');
  });
  const bill = task('bill', { input, retry: retry() }, () => {});
  expect(await setUp([bill]).outcomeOf('bill', { n: 1 })).toMatchObject({
    kind: 'retry',
    line: 'Error: the registry is away',
  });
});

test('the running execution still has the arguments it was added with', async () => {
  const bill = task('bill', { input: schemas[0]![1] }, (_args, ctx) => ctx.execution.args);
  const outcome = await setUp([bill]).outcomeOf('bill', { at: '2026-01-01' });
  expect(outcome.kind === 'completed' && decodeValue(outcome.result!)).toEqual({ at: '2026-01-01' });
});
