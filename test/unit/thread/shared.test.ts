import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { ThreadContext } from '../../../src/tasks/context.js';
import { depends, shared } from '../../../src/tasks/dependencies.js';
import { task } from '../../../src/tasks/task.js';
import { decodeValue } from '../../../src/wire/codec.js';
import { outcomesOf, setUp } from '../../support/executor.js';
import { deferred } from '../../support/wait.js';

test('a shared dependency is created once per thread, on first use', async () => {
  let made = 0;
  const pool = shared(() => ++made);
  const use = task('use', { uses: { pool } }, (_args: {}, ctx) => ctx.pool);
  const { outcomeOf } = setUp([use, task('noop', () => {})]);
  await outcomeOf('noop');
  expect(made).toBe(0);
  for (let i = 0; i < 3; i++) {
    const outcome = await outcomeOf('use');
    expect(outcome.kind === 'completed' && decodeValue(outcome.result!)).toBe(1);
  }
  await setUp([use]).outcomeOf('use');
  expect(made).toBe(2);
});

test('concurrent first users share one instance', async () => {
  let made = 0;
  const gate = deferred();
  const pool = shared(async () => {
    made += 1;
    await gate.promise;
    return made;
  });
  const nested = depends((_args, ctx) => ctx.pool, { uses: { pool } });
  const use = task('use', { uses: { pool, nested } }, (_args: {}, ctx) => [ctx.pool, ctx.nested]);
  const { run, item, reported } = setUp([use], { concurrency: 3 });
  const answer = run([item('use'), item('use'), item('use')]);
  await turn();
  gate.resolve();
  const outcomes = [...outcomesOf(await answer, ...reported).values()];
  expect(outcomes.map((outcome) => outcome.kind === 'completed' && decodeValue(outcome.result!))).toEqual([
    [1, 1],
    [1, 1],
    [1, 1],
  ]);
  expect(made).toBe(1);
});

test('a factory that fails fails only the attempts that waited for it, and the next one tries again', async () => {
  let tries = 0;
  const pool = shared(async () => {
    tries += 1;
    await turn();
    if (tries === 1) throw new Error('refused');
    return 'pool';
  });
  const use = task('use', { uses: { pool } }, (_args: {}, ctx) => ctx.pool);
  const { run, item, reported, outcomeOf } = setUp([use], { concurrency: 2 });
  const failed = outcomesOf(await run([item('use'), item('use')]), ...reported);
  const expected = { kind: 'failed', line: "AggregateError: dependencies of 'use' failed: pool (Error: refused)" };
  expect([...failed.values()]).toMatchObject([expected, expected]);
  expect(tries).toBe(1);
  expect(await outcomeOf('use')).toMatchObject({ kind: 'completed' });
  expect(tries).toBe(2);
});

test('the factory of a shared dependency gets the context of the thread', async () => {
  const seen: ThreadContext[] = [];
  const docket = { getExecution: async () => null };
  const pool = shared((ctx) => void seen.push(ctx));
  const { outcomeOf, lines } = setUp([task('use', { uses: { pool } }, () => {})], { docket });
  await outcomeOf('use');
  seen[0]!.logger.info({ size: 3 }, 'made');
  expect([seen[0]!.docket, seen[0]!.worker]).toEqual([docket, { name: 'w', threadId: 7 }]);
  expect(lines).toEqual([{ level: 'info', message: 'made', fields: { size: 3 } }]);
});

test('shared dependencies outlive executions, and are cleaned up with the thread in reverse order', async () => {
  const events: string[] = [];
  const one = shared(async function* () {
    yield 'one';
    await turn();
    events.push('close one');
  });
  const two = shared(() => ({ [Symbol.asyncDispose]: async () => void events.push('dispose two') }));
  const own = depends((_args, ctx) => ctx.two, { uses: { two } }); // it must not dispose this value
  const { executor, outcomeOf } = setUp([task('use', { uses: { one, own } }, () => void events.push('body'))]);
  await outcomeOf('use');
  await outcomeOf('use');
  expect(events).toEqual(['body', 'body']);
  await executor.dispose();
  expect(events.slice(2)).toEqual(['dispose two', 'close one']);
  await executor.dispose();
  expect(events).toHaveLength(4);
});

test('a shared dependency that uses others is made after them, once, and cleaned up before them', async () => {
  const events: string[] = [];
  const config = shared(async function* () {
    await turn();
    events.push('open config');
    yield { size: 2 };
    events.push('close config');
  });
  const pool = shared(
    async function* ({ config, worker }) {
      events.push(`open pool of ${config.size} for ${worker.name}`);
      yield { size: config.size };
      await turn();
      events.push('close pool');
    },
    { uses: { config } },
  );
  const repository = shared(
    ({ pool, config }) => {
      events.push(`open repository on ${pool.size} and ${config.size}`);
      return pool; // it belongs to its own factory
    },
    { uses: { pool, config } },
  );
  const use = task('use', { uses: { repository } }, (_args: {}, ctx) => ctx.repository.size);
  const { executor, run, item, reported, outcomeOf } = setUp(
    [use, task('both', { uses: { config, repository } }, () => {})],
    {
      concurrency: 3,
    },
  );
  const outcomes = outcomesOf(await run([item('use'), item('both'), item('use')]), ...reported);
  expect([...outcomes.values()].map(({ kind }) => kind)).toEqual(['completed', 'completed', 'completed']);
  expect(await outcomeOf('use')).toMatchObject({ kind: 'completed' });
  expect(events).toEqual(['open config', 'open pool of 2 for w', 'open repository on 2 and 2']);
  await executor.dispose();
  expect(events.slice(3)).toEqual(['close pool', 'close config']);
});

test('a shared dependency whose own dependency fails is not made, and the next attempt tries both again', async () => {
  let tries = 0;
  let made = 0;
  const config = shared(() => {
    tries += 1;
    if (tries === 1) throw new Error('unreadable');
    return 'config';
  });
  const pool = shared(() => ++made, { uses: { config } });
  const { outcomeOf } = setUp([task('use', { uses: { pool } }, (_args: {}, ctx) => ctx.pool)]);
  expect(await outcomeOf('use')).toMatchObject({
    kind: 'failed',
    line: "AggregateError: dependencies of 'use' failed: pool.config (Error: unreadable)",
  });
  expect(made).toBe(0);
  expect(await outcomeOf('use')).toMatchObject({ kind: 'completed' });
  expect([tries, made]).toEqual([2, 1]);
});

test('factories that are declared twice and use each other in turn do not wait for each other', async () => {
  const first = () => 'first';
  const second = () => 'second';
  const one = shared(first, { uses: { other: shared(second) } });
  const two = shared(second, { uses: { other: shared(first) } });
  const uses = [task('one', { uses: { one } }, () => {}), task('two', { uses: { two } }, () => {})];
  const { run, item, reported } = setUp(uses, { concurrency: 2 });
  const outcomes = outcomesOf(await run([item('one'), item('two')]), ...reported);
  expect([...outcomes.values()].map(({ kind }) => kind)).toEqual(['completed', 'completed']);
});

test('a shared dependency that is being created when the thread ends is cleaned up', async () => {
  const events: string[] = [];
  const gate = deferred();
  const pool = shared(async function* () {
    await gate.promise;
    yield;
    events.push('closed');
  });
  const { executor, run, item } = setUp([task('use', { uses: { pool } }, () => {})]);
  const answer = run([item('use')]);
  await turn();
  const disposing = executor.dispose();
  gate.resolve();
  await disposing;
  expect(events).toEqual(['closed']);
  await answer;
});

test('a clean-up that fails is logged, and the others still run', async () => {
  const events: string[] = [];
  const fine = shared(function* () {
    yield;
    events.push('closed');
  });
  const bad = shared(function* () {
    yield;
    throw new Error('stuck');
  });
  const { executor, outcomeOf, lines } = setUp([task('use', { uses: { fine, bad } }, () => {})]);
  await outcomeOf('use');
  await executor.dispose();
  expect(events).toEqual(['closed']);
  expect(lines).toMatchObject([{ level: 'error', message: expect.stringContaining("'bad'") }]);
});

test('the dependencies of the worker can be shared', async () => {
  let made = 0;
  const tracer = shared(() => ++made);
  const { outcomeOf } = setUp([task('noop', () => {})], { uses: [['tracer', tracer]] });
  await outcomeOf('noop');
  await outcomeOf('noop');
  expect(made).toBe(1);
});
