import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Outcome } from '../../../src/channel/protocol.js';
import { StopReason } from '../../../src/channel/slots.js';
import { depends } from '../../../src/tasks/dependencies.js';
import { retry } from '../../../src/tasks/policies.js';
import { task } from '../../../src/tasks/task.js';
import { decodeError, decodeValue } from '../../../src/wire/codec.js';
import { outcomesOf, setUp } from '../../support/executor.js';
import { deferred } from '../../support/wait.js';

function resultOf(outcome: Outcome): unknown {
  expect(outcome.kind).toBe('completed');
  const { result } = outcome as Outcome & { kind: 'completed' };
  return result && decodeValue(result);
}

function errorOf(outcome: Outcome): Error & { errors?: Error[] } {
  expect(outcome.kind).toBe('failed');
  return decodeError((outcome as Outcome & { kind: 'failed' }).error) as Error;
}

/** A list of events, and dependencies that add to it. */
function journal() {
  const events: string[] = [];
  const noted = (name: string, onClose = () => {}) =>
    depends(function* () {
      events.push(`open ${name}`);
      yield name;
      events.push(`close ${name}`);
      onClose();
    });
  return { events, noted };
}

function fails(message: string) {
  return () => {
    throw new Error(message);
  };
}

test('factories of every style provide their values', async () => {
  const uses = {
    value: depends(() => 'value'),
    promise: depends(async () => 'promise'),
    generator: depends(function* () {
      yield 'generator';
    }),
    asyncGenerator: depends(async function* () {
      yield 'async generator';
    }),
    nothing: depends(() => undefined),
  };
  const look = task('look', { uses }, (_args, { value, promise, generator, asyncGenerator, nothing }) => {
    return [value, promise, generator, asyncGenerator, nothing];
  });
  expect(resultOf(await setUp([look]).outcomeOf('look'))).toEqual([
    'value',
    'promise',
    'generator',
    'async generator',
    undefined,
  ]);
});

test('a factory reads the arguments, the context and its own dependencies', async () => {
  const region = depends(() => 'eu');
  const customer = depends(
    ({ id }: { id: number }, ctx) => `${ctx.key}/${ctx.attempt}/${ctx.region}/${id}/${'logger' in ctx}`,
    { uses: { region } },
  );
  const look = task('look', { uses: { customer } }, (_args: { id: number }, ctx) => [ctx.customer, 'region' in ctx]);
  expect(resultOf(await setUp([look]).outcomeOf('look', { id: 7 }))).toEqual(['id-0/1/eu/7/true', false]);
});

test('a name can stand for different dependencies in a task and in its dependency', async () => {
  const inner = depends((_args, ctx) => `inner ${ctx.db}`, { uses: { db: depends(() => 'one') } });
  const look = task('look', { uses: { inner, db: depends(() => 'two') } }, (_args: {}, ctx) => [ctx.inner, ctx.db]);
  expect(resultOf(await setUp([look]).outcomeOf('look'))).toEqual(['inner one', 'two']);
});

test('a factory runs once per attempt, however many dependencies use it', async () => {
  let made = 0;
  const factory = () => ++made;
  const one = depends(factory);
  const left = depends((_args, ctx) => ctx.one, { uses: { one } });
  const right = depends((_args, ctx) => ctx.again, { uses: { again: depends(factory) } });
  const look = task('look', { uses: { left, one, right } }, (_args: {}, ctx) => [ctx.left, ctx.one, ctx.right]);
  const { outcomeOf } = setUp([look]);
  expect(resultOf(await outcomeOf('look'))).toEqual([1, 1, 1]);
  expect(resultOf(await outcomeOf('look'))).toEqual([2, 2, 2]);
});

test('clean-ups run after the body, in reverse order of creation', async () => {
  const { events, noted } = journal();
  const base = noted('base');
  const middle = depends(
    async function* (_args, ctx) {
      events.push(`open middle on ${ctx.base}`);
      yield;
      await turn();
      events.push('close middle');
    },
    { uses: { base } },
  );
  const look = task('look', { uses: { first: noted('first'), middle, last: noted('last') } }, () => {
    events.push('body');
  });
  await setUp([look]).outcomeOf('look');
  expect(events).toEqual([
    ...['open first', 'open base', 'open middle on base', 'open last', 'body'],
    ...['close last', 'close middle', 'close base', 'close first'],
  ]);
});

test('the dependencies of the worker enclose those of each task, and are not on the context', async () => {
  const { events, noted } = journal();
  const plain = task('plain', (_args: {}, ctx) => 'tracing' in ctx);
  const own = task('own', { uses: { own: noted('own') } }, () => {});
  const { outcomeOf } = setUp([plain, own], { uses: [['tracing', noted('tracing')]] });
  await outcomeOf('own');
  expect(events).toEqual(['open tracing', 'open own', 'close own', 'close tracing']);
  expect(resultOf(await outcomeOf('plain'))).toBe(false);
  expect(events.slice(4)).toEqual(['open tracing', 'close tracing']);
});

test('the outcome comes only after the clean-up, and the row is kept until then', async () => {
  const gate = deferred();
  const slow = depends(async function* () {
    yield;
    await gate.promise;
  });
  const { run, item, slots } = setUp([task('look', { uses: { slow } }, () => {})]);
  const one = item('look');
  let isOver = false;
  const answer = run([one]).finally(() => {
    isOver = true;
  });
  await turn();
  expect(isOver).toBe(false);
  const started = slots.state(one.row);
  gate.resolve();
  expect(outcomesOf(await answer).get(one.row)).toEqual({ kind: 'completed', result: null });
  expect(slots.state(one.row)).not.toBe(started);
});

test('a returned value is disposed when it is disposable, asynchronously if it can be', async () => {
  const events: string[] = [];
  const plain = { [Symbol.dispose]: () => events.push('dispose') };
  const both = {
    [Symbol.dispose]: () => events.push('never'),
    [Symbol.asyncDispose]: async () => void events.push('asyncDispose'),
  };
  const uses = { plain: depends(() => plain), both: depends(async () => both) };
  await setUp([task('look', { uses }, () => void events.push('body'))]).outcomeOf('look');
  expect(events).toEqual(['body', 'asyncDispose', 'dispose']);
});

test('a value that belongs to another dependency is disposed once, by that one', async () => {
  let disposed = 0;
  const owner = depends(() => ({ [Symbol.dispose]: () => void disposed++ }));
  const view = depends((_args, ctx) => ctx.owner, { uses: { owner } });
  await setUp([task('look', { uses: { view } }, () => {})]).outcomeOf('look');
  expect(disposed).toBe(1);
});

test('a yielded value is not disposed, because its generator cleans up', async () => {
  let disposed = 0;
  const yielding = depends(function* () {
    yield { [Symbol.dispose]: () => void disposed++ };
  });
  await setUp([task('look', { uses: { yielding } }, () => {})]).outcomeOf('look');
  expect(disposed).toBe(0);
});

test('all failed factories are reported together by name, and the body does not run', async () => {
  const { events, noted } = journal();
  const broken = depends(fails('no pool'));
  const uses = {
    fine: noted('fine'),
    db: depends(async () => Promise.reject(new TypeError('refused'))),
    nested: depends(() => 'never', { uses: { broken } }),
    again: broken,
    late: noted('late'),
  };
  const look = task('look', { uses }, () => {
    events.push('body');
  });
  const outcome = await setUp([look]).outcomeOf('look');
  const error = errorOf(outcome);
  expect(error).toBeInstanceOf(AggregateError);
  expect(error.message).toBe("dependencies of 'look' failed: db (TypeError: refused), nested.broken (Error: no pool)");
  expect(error.errors?.map(({ message }) => message)).toEqual(['refused', 'no pool']);
  expect(events).toEqual(['open fine', 'open late', 'close late', 'close fine']);
});

test('the dependencies of the task are not created when one of the worker fails', async () => {
  const { events, noted } = journal();
  const look = task('look', { uses: { own: noted('own') } }, () => {});
  const uses = [
    ['first', noted('first')],
    ['tracing', depends(fails('off'))],
  ] as const;
  const outcome = await setUp([look], { uses }).outcomeOf('look');
  expect(errorOf(outcome).message).toContain('tracing (Error: off)');
  expect(events).toEqual(['open first', 'close first']);
});

test('a failed dependency is retried with the attempt', async () => {
  const uses = { db: depends(fails('refused')) };
  const look = task('look', { retry: retry({ attempts: 2, delay: 9 }), uses }, () => {});
  expect(await setUp([look]).outcomeOf('look')).toEqual({
    kind: 'retry',
    due: { delayMs: 9 },
    line: "AggregateError: dependencies of 'look' failed: db (Error: refused)",
  });
});

test.each([
  ['never', depends(function* () {} as () => Generator<unknown>), 'without a yield'],
  ['never, asynchronously', depends(async function* () {} as () => AsyncGenerator<unknown>), 'without a yield'],
])('a generator that yields %s fails the attempt by its name', async (_, odd, problem) => {
  const look = task('look', { uses: { odd } }, () => {});
  const { message } = errorOf(await setUp([look]).outcomeOf('look'));
  expect(message).toContain('odd (');
  expect(message).toContain(problem);
});

test('a generator that yields twice fails the attempt by its name, and is closed', async () => {
  const events: string[] = [];
  const odd = depends(function* () {
    try {
      yield 1;
      yield 2;
    } finally {
      events.push('closed');
    }
  });
  const look = task('look', { uses: { odd } }, () => {});
  const { message } = errorOf(await setUp([look]).outcomeOf('look'));
  expect(message).toContain("the clean-up of dependencies of 'look' failed: odd (");
  expect(message).toContain('more than once');
  expect(events).toEqual(['closed']);
});

test('a clean-up that fails after a successful body fails the attempt, and the other clean-ups still run', async () => {
  const { events, noted } = journal();
  const uses = { one: noted('one', fails('one')), two: noted('two'), three: noted('three', fails('three')) };
  const look = task('look', { retry: retry({ attempts: 1 }), uses }, () => 'done');
  const error = errorOf(await setUp([look]).outcomeOf('look'));
  expect(error.message).toBe("the clean-up of dependencies of 'look' failed: three (Error: three), one (Error: one)");
  expect(events.slice(3)).toEqual(['close three', 'close two', 'close one']);
});

test('a clean-up that fails after a failed body is logged, and the error of the body stays', async () => {
  const { noted } = journal();
  const uses = { one: noted('one', fails('rollback')) };
  const look = task('look', { uses }, fails('declined'));
  const { outcomeOf, lines } = setUp([look]);
  expect(errorOf(await outcomeOf('look')).message).toBe('declined');
  expect(lines).toMatchObject([
    { level: 'error', fields: { task: 'look', key: 'id-0', attempt: 1, error: expect.stringContaining('rollback') } },
  ]);
});

test('a generator is resumed the same way however the body ended', async () => {
  const seen: string[] = [];
  const transaction = depends(function* () {
    try {
      yield;
      seen.push('resumed');
    } catch {
      seen.push('thrown into');
    }
  });
  await setUp([task('look', { uses: { transaction } }, fails('declined'))]).outcomeOf('look');
  expect(seen).toEqual(['resumed']);
});

test.each([
  ['cancelled', StopReason.cancelled],
  ['interrupted', StopReason.interrupted],
] as const)('an attempt that was %s is cleaned up', async (kind, reason) => {
  const { events, noted } = journal();
  const look = task('look', { uses: { one: noted('one') } }, (_args: {}, ctx) => {
    slots.requestStop(0, 1, reason);
    ctx.throwIfCancelled();
  });
  const { outcomeOf, slots } = setUp([look]);
  expect(await outcomeOf('look')).toEqual({ kind });
  expect(events).toEqual(['open one', 'close one']);
});

test('an attempt that must stop while its dependencies are created creates no more of them, and has no body', async () => {
  const { events, noted } = journal();
  const stops = depends(() => slots.requestStop(0, 1, StopReason.cancelled));
  const look = task('look', { uses: { one: noted('one'), stops, two: noted('two') } }, () => {
    events.push('body');
  });
  const { outcomeOf, slots } = setUp([look]);
  expect(await outcomeOf('look')).toEqual({ kind: 'cancelled' });
  expect(events).toEqual(['open one', 'close one']);
});

test('an attempt that must stop when its last dependency is created does not run its body', async () => {
  const { events, noted } = journal();
  const stops = depends(() => slots.requestStop(0, 1, StopReason.interrupted));
  const { outcomeOf, slots } = setUp([
    task('look', { uses: { one: noted('one'), stops } }, () => {
      events.push('body');
    }),
  ]);
  expect(await outcomeOf('look')).toEqual({ kind: 'interrupted' });
  expect(events).toEqual(['open one', 'close one']);
});
