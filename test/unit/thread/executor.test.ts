import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { SlotState, SlotTable, StopReason } from '../../../src/channel/slots.js';
import type { TaskContext } from '../../../src/tasks/context.js';
import { retry } from '../../../src/tasks/policies.js';
import { task } from '../../../src/tasks/task.js';
import { Executor } from '../../../src/thread/executor.js';
import { Tracing } from '../../../src/tracing/tracing.js';
import { decodeError, decodeValue, encoderFor } from '../../../src/wire/codec.js';
import { encodeEnvelope } from '../../../src/wire/envelope.js';
import { aborted, outcomesOf, setUp } from '../../support/executor.js';
import { deferred } from '../../support/wait.js';

test('the reply to a chunk has the outcome of each of its items', async () => {
  const echo = task('echo', ({ value }: { value: unknown }) => value);
  const { run, item, slots, reported } = setUp([echo]);
  const items = [item('echo', { value: 1 }), item('echo', { value: undefined }), item('echo', { value: [2] })];
  const outcomes = outcomesOf(await run(items), ...reported);
  const values = items.map(({ row }) => {
    const outcome = outcomes.get(row);
    return outcome?.kind === 'completed' && outcome.result ? decodeValue(outcome.result) : outcome;
  });
  expect(values).toEqual([1, { kind: 'completed', result: null }, [2]]);
  const { finished, completedSilently } = SlotState;
  expect(items.map(({ row }) => slots.state(row))).toEqual([finished, completedSilently, finished]);
});

test('items start in their order, at most as many at once as the concurrency allows', async () => {
  const started: number[] = [];
  const gates = Array.from({ length: 5 }, () => deferred());
  const wait = task('wait', async ({ n }: { n: number }) => {
    started.push(n);
    await gates[n]!.promise;
  });
  const { run, item, reported } = setUp([wait], { concurrency: 2 });
  const answer = run(gates.map((_, n) => item('wait', { n })));
  await turn();
  expect(started).toEqual([0, 1]);
  gates[1]!.resolve();
  await turn();
  expect(started).toEqual([0, 1, 2]);
  for (const gate of gates) gate.resolve();
  expect(outcomesOf(await answer, ...reported).size).toBe(5);
  expect(started).toEqual([0, 1, 2, 3, 4]);
});

test('two chunks share the concurrency of the thread', async () => {
  const gate = deferred();
  let [running, most] = [0, 0];
  const wait = task('wait', async () => {
    most = Math.max(most, ++running);
    await gate.promise;
    running -= 1;
  });
  const { run, item } = setUp([wait], { concurrency: 2 });
  const answers = [run([item('wait'), item('wait')]), run([item('wait')])];
  await turn();
  gate.resolve();
  await Promise.all(answers);
  expect(most).toBe(2);
});

test('a revoked shipment does not start, and has no outcome', async () => {
  const ran: number[] = [];
  const note = task('note', ({ n }: { n: number }) => void ran.push(n));
  const { run, item, slots, reported } = setUp([note]);
  const items = [item('note', { n: 0 }), item('note', { n: 1 }), item('note', { n: 2 })];
  expect(slots.revoke(items[1]!.row, items[1]!.epoch)).toBe(true);
  const outcomes = outcomesOf(await run(items), ...reported);
  expect(ran).toEqual([0, 2]);
  expect([...outcomes.keys()].sort()).toEqual([items[0]!.row, items[2]!.row]);
  expect(slots.state(items[1]!.row)).toBe(SlotState.skipped); // its row may go to another shipment
});

test('the reply to a chunk that was revoked as a whole is empty', async () => {
  const { run, item, slots, reported } = setUp([task('noop', () => {})]);
  const items = [item('noop'), item('noop')];
  for (const { row, epoch } of items) slots.revoke(row, epoch);
  expect(outcomesOf(await run(items), ...reported).size).toBe(0);
});

test('a shipment that has started cannot be revoked', async () => {
  const gate = deferred();
  const { run, item, slots } = setUp([task('wait', () => gate.promise)]);
  const [first] = [item('wait')];
  const answer = run([first]);
  expect(slots.revoke(first.row, first.epoch)).toBe(false);
  gate.resolve();
  await answer;
});

test('outcomes do not wait for a slow neighbour in their chunk', async () => {
  const gate = deferred();
  const { run, item, reported } = setUp([task('noop', () => {}), task('wait', () => gate.promise)]);
  const items = [item('noop'), item('wait')];
  const answer = run(items);
  await expect.poll(() => reported.length, { interval: 1 }).toBe(1);
  expect([...outcomesOf(reported[0]!).keys()]).toEqual([items[0]!.row]);
  gate.resolve();
  expect([...outcomesOf(await answer).keys()]).toEqual([items[1]!.row]);
});

test('outcomes of one turn travel in one message, whatever chunks they came in', async () => {
  const [gate, last] = [deferred(), deferred()];
  const wait = task('wait', () => gate.promise);
  const { run, item, reported } = setUp([wait, task('last', () => last.promise)], { concurrency: 9 });
  const chunks = [[item('wait'), item('last')], [item('wait'), item('wait')], [item('wait')]];
  const answers = chunks.map((items) => run(items));
  await turn();
  gate.resolve();
  const [second, third] = await Promise.all(answers.slice(1));
  expect(reported).toEqual([]);
  expect([...outcomesOf(second!).keys()]).toEqual([0, 2, 3, 4]);
  expect(outcomesOf(third!).size).toBe(0);
  last.resolve();
  expect([...outcomesOf((await answers[0])!).keys()]).toEqual([1]);
});

test('a result does not wait for the bodies of the chunk that comes next, which may hold the thread', async () => {
  const gate = deferred();
  const seen: number[] = [];
  const { run, item, reported } = setUp(
    [task('result', () => 1), task('wait', () => gate.promise), task('look', () => void seen.push(reported.length))],
    { concurrency: 3 },
  );
  const answers = [run([item('result'), item('wait')])];
  for (let i = 0; i < 50; i++) await Promise.resolve(); // it ends, but the turn does not
  answers.push(run([item('look')]));
  expect([seen, [...outcomesOf(...reported).keys()]]).toEqual([[1], [0]]);
  gate.resolve();
  await Promise.all(answers);
});

test('a result that is not fresh is reported before the next body, which may hold the thread', async () => {
  const seen: number[][] = [];
  const spin = task('spin', () => {
    for (const endMs = performance.now() + 2; performance.now() < endMs; );
  });
  const look = task('look', () => void seen.push([...outcomesOf(...reported).keys()].sort()));
  const { run, item, reported } = setUp([task('result', () => 1), spin, look]);
  await run([item('result'), item('spin'), item('look')]);
  expect(seen).toEqual([[0, 1]]);
});

test('while there is a backlog, results may wait for the end of their chunk, as long as the coordinator says', async () => {
  const look = task('look', () => void seen.push(reported.length));
  const seen: number[] = [];
  const spin = task('spin', () => {
    for (const endMs = performance.now() + 2; performance.now() < endMs; );
  });
  const { run, item, reported } = setUp([task('result', () => 1), spin, look]);
  const ended = await run([item('result'), item('spin'), item('look')], Number.POSITIVE_INFINITY);
  expect(seen).toEqual([0]);
  expect(outcomesOf(ended).size).toBe(3);
});

test('tasks that replace the global timers hold no outcome back', async () => {
  const gate = deferred();
  const { run, item, reported } = setUp([task('noop', () => {}), task('wait', () => gate.promise)]);
  vi.useFakeTimers();
  const answer = run([item('noop'), item('wait')]);
  vi.useRealTimers();
  await expect.poll(() => reported.length, { interval: 1 }).toBe(1);
  gate.resolve();
  await answer;
});

test('a task that is not loaded is refused, and its chunk runs on', async () => {
  const { run, item, reported } = setUp([task('noop', () => {})]);
  const items = [item('newer'), item('noop')];
  const outcomes = outcomesOf(await run(items), ...reported);
  expect(outcomes.get(items[0]!.row)).toEqual({ kind: 'unknown-task' });
  expect(outcomes.get(items[1]!.row)).toMatchObject({ kind: 'completed' });
});

test('the fallback runs in place of unknown tasks, and sees their arguments and name', async () => {
  const fallback = task('fallback', (args: object, ctx) => ({ args, task: ctx.execution.task }));
  const { outcomeOf } = setUp([task('noop', () => {})], { fallback });
  const outcome = await outcomeOf('newer', { n: 1 });
  expect(outcome.kind === 'completed' && decodeValue(outcome.result!)).toEqual({ args: { n: 1 }, task: 'newer' });
  expect(await outcomeOf('noop')).toEqual({ kind: 'completed', result: null });
});

test('the policies of the fallback apply to the tasks it runs for', async () => {
  const fallback = task('fallback', { retry: retry({ delay: 7 }) }, () => {
    throw new Error('not yet');
  });
  const { outcomeOf } = setUp([], { fallback });
  expect(await outcomeOf('newer')).toMatchObject({ kind: 'retry', due: { delayMs: 7 } });
});

test.each<[string, () => unknown]>([
  ['an error', () => new RangeError('bad luck')],
  ['text', () => 'bad luck'],
  ['undefined', () => undefined],
  ['null', () => null],
  ['an error whose message cannot be read', () => Object.defineProperty(new Error('x'), 'message', { get: fails })],
  ['a proxy that throws when it is looked at', () => new Proxy({}, { get: fails, getPrototypeOf: fails, has: fails })],
])('a body that throws %s fails only its own attempt', async (_, thrown) => {
  const bad = task('bad', () => {
    throw thrown();
  });
  const { run, item, reported } = setUp([bad, task('noop', () => {})]);
  const items = [item('bad'), item('noop')];
  const outcomes = outcomesOf(await run(items), ...reported);
  const outcome = outcomes.get(items[0]!.row)!;
  expect(outcome).toMatchObject({ kind: 'failed', line: expect.any(String) });
  expect(() => decodeError((outcome as { error: Uint8Array }).error)).not.toThrow();
  expect(outcomes.get(items[1]!.row)).toMatchObject({ kind: 'completed' });
});

test('an error becomes one line, however long it is', async () => {
  const bad = task('bad', () => {
    throw new Error(`first\nsecond ${'x'.repeat(10_000)}`);
  });
  const { run, item } = setUp([bad]);
  const [outcome] = outcomesOf(await run([item('bad')])).values();
  expect(outcome).toMatchObject({ kind: 'failed', line: 'Error: first' });
});

test('a failed attempt that has attempts left is retried', async () => {
  const bad = task('bad', { retry: retry({ attempts: 2, delay: 30 }) }, () => {
    throw new Error('not yet');
  });
  const { run, item } = setUp([bad]);
  const [outcome] = outcomesOf(await run([item('bad')])).values();
  expect(outcome).toEqual({ kind: 'retry', due: { delayMs: 30 }, line: 'Error: not yet' });
});

test.each([
  ['too large', 'x'.repeat(2_000), 'DOCKET_RESULT_TOO_LARGE'],
  ['nothing that can travel', { call: () => {} }, 'DOCKET_UNENCODABLE_VALUE'],
])('a result that is %s fails the attempt without a retry', async (_, result, code) => {
  const { run, item } = setUp([task('bad', { retry: retry({ attempts: 9 }) }, () => result)]);
  const [outcome] = outcomesOf(await run([item('bad')])).values();
  expect(outcome).toMatchObject({ kind: 'failed' });
  expect(decodeError((outcome as { error: Uint8Array }).error)).toMatchObject({ code });
});

test('arguments that cannot be decoded fail the attempt', async () => {
  const { run, item } = setUp([task('noop', () => {})]);
  const broken = item('noop', { text: 'hello' });
  const cut = { ...broken, message: broken.message.subarray(0, broken.message.length - 2) };
  const [outcome] = outcomesOf(await run([cut])).values();
  expect(outcome).toMatchObject({ kind: 'failed', line: expect.stringContaining('UndecodableValueError') });
});

test.each<[string, (ctx: TaskContext) => Promise<unknown>]>([
  [
    'throws the reason of its signal',
    async (ctx) => {
      await aborted(ctx.signal);
      ctx.signal.throwIfAborted();
    },
  ],
  [
    'calls throwIfCancelled',
    async (ctx) => {
      await aborted(ctx.signal);
      ctx.throwIfCancelled();
    },
  ],
  [
    'throws the error of a timer or a driver',
    async (ctx) => {
      await aborted(ctx.signal);
      throw new DOMException('The operation was aborted', 'AbortError');
    },
  ],
])('an attempt that is asked to stop and %s has the outcome of the reason', async (_, body) => {
  const reasons = [
    [StopReason.interrupted, { kind: 'interrupted' }],
    [StopReason.cancelled, { kind: 'cancelled' }],
  ] as const;
  for (const [reason, expected] of reasons) {
    const { executor, run, item, slots, reported } = setUp([
      task('wait', { retry: retry() }, (_args, ctx) => body(ctx)),
    ]);
    const waiting = item('wait');
    const answer = run([waiting]);
    await turn();
    slots.requestStop(waiting.row, waiting.epoch, reason);
    executor.attend();
    const [outcome] = outcomesOf(await answer, ...reported).values();
    expect(outcome).toEqual(expected);
  }
});

test('the reason of the signal says why the attempt must stop', async () => {
  const reasons: unknown[] = [];
  const wait = task('wait', async (_args: object, ctx) => {
    await aborted(ctx.signal);
    reasons.push(ctx.signal.reason);
  });
  for (const reason of [StopReason.interrupted, StopReason.cancelled]) {
    const { executor, run, item, slots } = setUp([wait]);
    const waiting = item('wait');
    const answer = run([waiting]);
    await turn();
    slots.requestStop(waiting.row, waiting.epoch, reason);
    executor.attend();
    await answer;
  }
  expect(reasons).toMatchObject([{ code: 'DOCKET_INTERRUPTED' }, { code: 'DOCKET_EXECUTION_CANCELLED', key: 'id-0' }]);
});

test('an attempt that returns although it was asked to stop is completed', async () => {
  const { executor, run, item, slots, reported } = setUp([task('wait', (_args: object, ctx) => aborted(ctx.signal))]);
  const waiting = item('wait');
  const answer = run([waiting]);
  await turn();
  slots.requestStop(waiting.row, waiting.epoch, StopReason.cancelled);
  executor.attend();
  expect([...outcomesOf(await answer, ...reported).values()]).toEqual([{ kind: 'completed', result: null }]);
});

test('a cancel for an earlier shipment of the row does not stop the next one', async () => {
  const seen: boolean[] = [];
  const look = task('look', (_args: object, ctx) => void seen.push(ctx.cancelled, ctx.signal.aborted));
  const { run, item, slots } = setUp([look]);
  const first = item('look');
  await run([first]);
  slots.free(first.row);
  slots.requestStop(first.row, first.epoch, StopReason.cancelled);
  await run([{ ...first, epoch: slots.ship(first.row) }]);
  expect(seen).toEqual([false, false, false, false]);
});

test('a chunk of thousands of synchronous tasks does not grow the stack', async () => {
  let ran = 0;
  const over = deferred();
  const slots = new SlotTable(20_000);
  const many = new Executor({
    loaded: { tasks: new Map([['noop', task('noop', () => void ran++)]]), fallback: null, uses: [], errors: [] },
    scope: {
      slots,
      docketName: 'docket',
      tracing: new Tracing(),
      worker: { name: 'w', threadId: 0 },
      maxPayloadBytes: 10,
      docket: fails,
      logger: fails,
      report: fails,
    },
    concurrency: 1,
    logsAttempts: false,
    report: (_, ended) => {
      if (ended.length > 0) over.resolve();
    },
  });
  const message = encodeEnvelope(encoderFor({}, 'args'), 'noop', 0, 'id', {});
  const items = Array.from({ length: 20_000 }, (_, row) => ({
    ...{
      row,
      epoch: slots.ship(row),
      record: null,
      token: null,
      partition: '',
      dueMs: 1,
      isRedelivered: false,
      message,
    },
  }));
  many.run(0, items);
  await over.promise;
  expect(ran).toBe(20_000);
});

function fails(): never {
  throw new Error('never read this');
}
