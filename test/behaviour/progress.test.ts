import {
  Docket,
  type Execution,
  ExecutionNotFoundError,
  ExecutionSupersededError,
  InvalidOptionError,
  type ProgressEvent,
  ResultsDisabledError,
  retry,
  task,
} from 'docket';
import { describe, expect, onTestFinished, test } from 'vitest';
import { blocking, busy, talking } from '../fixtures/tasks/progress.js';
import { killClients } from '../support/clients.js';
import { setStage } from '../support/stage.js';
import { stoppingProxy } from '../support/stopping-proxy.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const TASKS = new URL('../fixtures/tasks/progress.js', import.meta.url);

/** A task that reports what it is told to, then ends when it is told to. */
function reporting(report: (progress: Parameters<Parameters<typeof task>[1]>[1]['progress']) => void) {
  const reported = deferred();
  const ending = deferred();
  const reporter = task('reporter', async (_args: {}, ctx) => {
    report(ctx.progress);
    reported.resolve();
    await ending.promise;
  });
  return { reporter, reported: reported.promise, end: () => ending.resolve() };
}

function valuesOf({ progress }: Execution<unknown>) {
  const { current, total, message } = progress;
  return [current, total, message];
}

/** Progress as events tell it, of a subscription that goes on to the end. */
function watch(execution: Execution<unknown>) {
  const events: ProgressEvent[] = [];
  const ended = (async () => {
    for await (const event of execution.subscribe()) if (event.type === 'progress') events.push(event);
    return events;
  })();
  return { events, ended };
}

function progressOf(execution: Execution<unknown>): Promise<ProgressEvent[]> {
  return watch(execution).ended;
}

function expectMonotone(events: readonly ProgressEvent[]): void {
  events.forEach(({ current, updatedAt }, i) => {
    expect(current).toBeGreaterThanOrEqual(events[i - 1]?.current ?? 0);
    expect(updatedAt?.getTime() ?? 0).toBeGreaterThanOrEqual(events[i - 1]?.updatedAt?.getTime() ?? 0);
  });
}

describeEachServer('progress', (url) => {
  const stage = setStage(url);

  test('is 0 of 100 without a message until something is reported', async () => {
    const execution = await stage.docket().add(task('quiet', () => {}));
    expect(execution.progress).toMatchObject({ current: 0, total: 100, message: null, updatedAt: null });
    await stage.finish({ quiet: task('quiet', () => {}) });
    await execution.sync();
    expect(execution.progress).toMatchObject({ current: 0, total: 100, message: null, updatedAt: null });
    expect(Object.keys(await stage.record(execution.key)).sort()).toEqual(['b', 'c', 'e', 'g', 'k', 's', 't']);
  });

  test('is seen while the execution runs, and exact at the end', async () => {
    const { reporter, reported, end } = reporting(({ setTotal, increment, setMessage }) => {
      setTotal(10);
      increment(3);
      setMessage('first');
      setMessage('second');
    });
    const execution = await stage.docket().add(reporter);
    const before = Date.now();
    stage.work({ reporter });
    await reported;
    await waitFor(async () => {
      await execution.sync();
      return execution.progress.message === 'second';
    });
    expect(valuesOf(execution)).toEqual([3, 10, 'second']);
    expect(execution.progress.updatedAt!.getTime()).toBeGreaterThan(before - 60_000);
    end();
    await execution.result();
    expect(valuesOf(execution)).toEqual([3, 10, 'second']);
  });

  describe.each([0, 2])('with threads: %i', (threads) => {
    test('is exact at the end of an attempt too short to be sampled', async () => {
      const docket = stage.docket();
      const executions = await Promise.all(
        Array.from({ length: 50 }, (_, i) => docket.add(busy, { times: i + 1, ms: 0, message: `m${i}` })),
      );
      await stage.finish(TASKS, { threads });
      for (const execution of executions) await execution.sync();
      expect(executions.map(valuesOf)).toEqual(executions.map((_, i) => [i + 1, i + 1, `m${i}`]));
    });

    test('ends with the last of many messages', async () => {
      const execution = await stage.docket().add(talking, { times: 100_000 });
      await stage.finish(TASKS, { threads });
      await execution.sync();
      expect(valuesOf(execution)).toEqual([0, 100, 'step 100000']);
    });
  });

  test('is seen while a loop runs that never yields, and never goes back', async () => {
    const docket = stage.docket();
    const executions = await Promise.all(
      [1, 2].map(() => docket.add(busy, { times: 200_000, ms: 1_000, message: 'm' })),
    );
    const watching = executions.map(progressOf);
    stage.work(TASKS, { threads: 2 });
    for (const events of await Promise.all(watching)) {
      expectMonotone(events);
      expect(events.length).toBeGreaterThanOrEqual(3);
      expect(events.at(-1)).toMatchObject({ type: 'progress', current: 200_000, total: 200_000, message: 'm' });
    }
  });

  test('of an attempt whose thread died stays as it was last read', async () => {
    const docket = stage.docket();
    const execution = await docket.add(blocking, { ms: 250, exits: true });
    const watching = progressOf(execution);
    stage.work(TASKS, { threads: 1, maxDeliveries: 1 });
    await expect(execution.result()).rejects.toMatchObject({ code: 'DOCKET_POISONED' });
    const [current, total, message] = valuesOf(execution);
    expect([total, message]).toEqual([100, 'working']);
    expect(current).toBeGreaterThan(7);
    expectMonotone(await watching);
  });

  test('starts anew with each attempt', async () => {
    const flaky = task('flaky', { retry: retry({ attempts: 2 }) }, async (_args: {}, ctx) => {
      if (ctx.attempt === 2) return;
      ctx.progress.increment(50);
      ctx.progress.setMessage('half');
      await waitFor(async () => {
        await execution.sync();
        return execution.progress.current === 50;
      });
      throw new Error('not yet');
    });
    const execution = await stage.docket().add(flaky);
    stage.work({ flaky });
    await execution.result();
    expect(valuesOf(execution)).toEqual([0, 100, null]);
  });

  test('ignores what is reported after the attempt has ended', async () => {
    const late = deferred<() => void>();
    const leaky = task('leaky', (_args: {}, { progress }) => {
      progress.increment();
      late.resolve(() => {
        progress.increment(1_000);
        progress.setTotal(5);
        progress.setMessage('late');
      });
    });
    const { reporter, reported, end } = reporting(({ increment }) => increment(2));
    const docket = stage.docket();
    stage.work({ leaky, reporter });
    const first = await docket.add(leaky);
    await first.result();
    const second = await docket.add(reporter);
    await reported;
    (await late.promise)();
    end();
    await second.result();
    expect([valuesOf(first), valuesOf(second)]).toEqual([
      [1, 100, null],
      [2, 100, null],
    ]);
  });

  test.each<[string, (progress: { [name: string]: unknown }) => void]>([
    ['increment by 0', ({ increment }) => (increment as (by: unknown) => void)(0)],
    ['increment by a part', ({ increment }) => (increment as (by: unknown) => void)(1.5)],
    ['increment by text', ({ increment }) => (increment as (by: unknown) => void)('1')],
    [
      'increment past what is exact',
      ({ increment }) => [1, 2].map(() => (increment as (by: unknown) => void)(2 ** 53 - 1)),
    ],
    ['a total of 0', ({ setTotal }) => (setTotal as (total: unknown) => void)(0)],
    ['a total of NaN', ({ setTotal }) => (setTotal as (total: unknown) => void)(Number.NaN)],
    ['a message that is no text', ({ setMessage }) => (setMessage as (message: unknown) => void)(7)],
  ])('refuses %s', async (_, report) => {
    const bad = task('bad', (_args: {}, { progress }) => report(progress as never));
    const execution = await stage.docket().add(bad);
    await stage.finish({ bad });
    await expect(execution.result()).rejects.toMatchObject({ code: 'DOCKET_INVALID_OPTION' });
  });

  test('keeps the beginning of a message that is too long, and none of an empty one', async () => {
    const long = task('long', (_args: {}, { progress }) => progress.setMessage('é'.repeat(5_000)));
    const none = task('none', (_args: {}, { progress }) => {
      progress.setMessage('something');
      progress.setMessage('');
      expect(progress.message).toBe(null);
    });
    const docket = stage.docket();
    const executions = [await docket.add(long), await docket.add(none)];
    await stage.finish({ long, none });
    await Promise.all(executions.map((execution) => execution.result()));
    expect(executions.map((execution) => execution.progress.message)).toEqual(['é'.repeat(1_000), null]);
  });

  test('works where no state is kept, and leaves nothing', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    const seen: number[] = [];
    const note = task('note', (_args: {}, { progress }) => {
      progress.increment(5);
      progress.setMessage('for nobody');
      seen.push(progress.current);
    });
    const keyed = await docket.add(note, {}, { key: 'k' });
    const lean = await docket.add(note);
    for (const execution of [keyed, lean]) {
      await expect(execution.progress.increment()).rejects.toThrow(ResultsDisabledError);
    }
    await stage.finish({ note });
    expect(seen).toEqual([5, 5]);
    expect((await stage.keys()).filter((key) => key.startsWith('run:'))).toEqual([]);
  });

  describe('from outside', () => {
    test('counts on top of what the body counts', async () => {
      const { reporter, reported, end } = reporting(({ increment }) => increment(2));
      const docket = stage.docket();
      const execution = await docket.add(reporter, {}, { key: 'parent' });
      await execution.progress.increment(5); // before it runs
      stage.work({ reporter });
      await reported;
      const parts = await Promise.all([1, 2, 3].map(async () => (await docket.getExecution('parent'))!.progress));
      await Promise.all(parts.map((progress) => progress.increment()));
      await parts[0]!.setTotal(10);
      await parts[0]!.setMessage('nearly');
      expect(parts[0]).toMatchObject({ total: 10, message: 'nearly' });
      end();
      await execution.result();
      expect(valuesOf(execution)).toEqual([10, 10, 'nearly']);
    });

    test('is published to subscribers', async () => {
      const { reporter, reported, end } = reporting(() => {});
      const execution = await stage.docket().add(reporter);
      stage.work({ reporter });
      await reported;
      const watching = progressOf(execution);
      await waitFor(async () => (await stage.keys()).includes('listeners'));
      await execution.progress.setMessage('two\nlines');
      end();
      expect((await watching).at(-1)).toMatchObject({ current: 0, message: 'two\nlines' });
    });

    test('is checked, and refused for executions that do not exist', async () => {
      const docket = stage.docket();
      const note = task('note', () => {});
      const first = await docket.add(note, {}, { key: 'k', when: '1h' });
      await expect(first.progress.increment(0)).rejects.toThrow(InvalidOptionError);
      await expect(first.progress.setTotal(-1)).rejects.toThrow(InvalidOptionError);
      await expect(first.progress.setMessage(1 as never)).rejects.toThrow(InvalidOptionError);
      const second = await docket.replace(note, {}, { key: 'k' });
      await expect(first.progress.increment()).rejects.toThrow(ExecutionSupersededError);
      await stage.finish({ note });
      await second.sync();
      await second.progress.increment(); // over: its values are final
      expect(valuesOf(second)).toEqual([0, 100, null]);
      await (await stage.redis()).del(stage.key('run:k'));
      await expect(second.progress.increment()).rejects.toThrow(ExecutionNotFoundError);
    });

    test('can be reported by the body through the handle of its execution', async () => {
      const self = task('self', async (_args: {}, ctx) => {
        ctx.progress.increment(2);
        await ctx.execution.progress.increment(3);
        await ctx.execution.sync();
        return ctx.execution.progress.current >= 3;
      });
      const execution = await stage.docket().add(self);
      stage.work({ self });
      expect(await execution.result()).toBe(true);
      expect(valuesOf(execution)).toEqual([5, 100, null]);
    });
  });

  test('of the execution that has the key is not changed by the one that lost it, and it is not cancelled', async () => {
    const docket = stage.docket();
    const [started, replaced] = [deferred(), deferred()];
    const refusals: unknown[] = [];
    const once = task('once', async ({ isFirst }: { isFirst: boolean }, ctx) => {
      if (!isFirst) return 'ran';
      const { progress } = ctx.execution;
      await progress.increment(1);
      expect(progress.current).toBe(1);
      started.resolve();
      await replaced.promise;
      const changes = [
        progress.increment(5),
        progress.setTotal(7),
        progress.setMessage('stale'),
        ctx.execution.cancel(),
      ];
      refusals.push(...(await Promise.allSettled(changes)).map((one) => 'reason' in one && one.reason));
      return 'stale';
    });
    await docket.add(once, { isFirst: true }, { key: 'k' });
    stage.work({ once });
    await started.promise;
    const successor = await docket.replace(once, { isFirst: false }, { key: 'k', when: '1h' });
    replaced.resolve();
    await waitFor(() => refusals.length === 4);
    for (const refusal of refusals) expect(refusal).toBeInstanceOf(ExecutionSupersededError);
    await successor.sync();
    expect([successor.state, ...valuesOf(successor)]).toEqual(['scheduled', 0, 100, null]);
    await docket.replace(once, { isFirst: false }, { key: 'k' });
    expect(await (await docket.getExecution('k'))!.result()).toBe('ran');
  });

  test('is kept or not as the record is, whatever docket asks', async () => {
    const note = task('note', () => 'done');
    const [keeping, forgetting] = [stage.docket(), stage.docket({ executionTtl: 0 })];
    await keeping.add(note, {}, { key: 'kept' });
    await forgetting.add(note, {}, { key: 'forgotten' });
    const kept = (await forgetting.getExecution('kept'))!;
    const forgotten = (await keeping.getExecution('forgotten'))!;
    await expect(forgotten.result()).rejects.toThrow(ResultsDisabledError);
    await expect(forgotten.progress.increment()).rejects.toThrow(ResultsDisabledError);
    const [twice, other] = [
      await forgetting.add(note, {}, { key: 'kept' }),
      await keeping.add(note, {}, { key: 'forgotten' }),
    ];
    await expect(other.result()).rejects.toThrow(ResultsDisabledError);
    await stage.finish({ note });
    expect(await kept.result()).toBe('done');
    expect(await twice.result()).toBe('done');
    expect(await (await forgetting.getExecution('kept'))!.result()).toBe('done');
  });
});

describeOnRedis('progress', (url) => {
  const stage = setStage(url);

  test('costs less than a thousand commands for a million increments on two threads', async () => {
    const docket = stage.docket();
    const executions = await Promise.all([1, 2].map(() => docket.add(busy, { times: 500_000, ms: 1_000 })));
    const watching = executions.map(progressOf);
    const redis = await stage.redis();
    await redis.config('RESETSTAT');
    const worker = stage.work(TASKS, { threads: 2, minimumCheckInterval: '1s' });
    const told = await Promise.all(watching);
    const calls = [...(await redis.info('commandstats')).matchAll(/:calls=(\d+)/g)];
    const commands = calls.reduce((sum, [, count]) => sum + Number(count), 0);
    await worker.close();
    for (const events of told) {
      expectMonotone(events);
      expect(events.length).toBeGreaterThanOrEqual(3);
      expect(events.at(-1)).toMatchObject({ current: 500_000, total: 500_000 });
    }
    for (const execution of executions) await execution.sync();
    expect(executions.map(valuesOf)).toEqual([1, 2].map(() => [500_000, 500_000, null]));
    expect(commands).toBeLessThan(1_000);
  });

  test('survives lost connections and lost scripts', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const execution = await docket.add(busy, { times: 200_000, ms: 1_500, message: 'm' });
    const watching = watch(execution);
    stage.work(TASKS, { threads: 1 });
    for (const seen of [2, 4]) {
      await waitFor(() => watching.events.length >= seen);
      await redis.script('FLUSH');
      await killClients(redis, 'normal');
      await killClients(redis, 'pubsub');
    }
    expectMonotone(await watching.ended);
    await execution.sync();
    expect(valuesOf(execution)).toEqual([200_000, 200_000, 'm']);
  });

  test('is exact at the end when it went back while a write was on its way', async () => {
    const proxy = await stoppingProxy(url().replace('unix://', ''));
    const behind = new Docket({ name: stage.name, url: proxy.url });
    onTestFinished(() => behind.close());
    const started = deferred();
    const reporting = deferred();
    const ending = deferred();
    const short = task('short', () => {});
    const fickle = task('fickle', async (_args: {}, { progress }) => {
      progress.increment();
      started.resolve();
      await reporting.promise;
      progress.setTotal(7);
      progress.setMessage('half');
      await ending.promise;
      progress.setTotal(100);
      progress.setMessage(null);
    });
    const docket = stage.docket();
    const before = await docket.add(short);
    const execution = await docket.add(fickle);
    stage.work({ short, fickle }, {}, behind);
    await before.result(); // the server knows the scripts
    await started.promise;
    const written = (field: string) => stage.record(execution.key).then((record) => record[field]);
    await waitFor(async () => (await written('i')) === '1');
    proxy.hold('commands');
    reporting.resolve();
    await waitFor(async () => (await written('o')) === '7' && (await written('u')) === 'half');
    ending.resolve(); // the worker does not know yet that this was written
    await waitFor(async () => (await written('o')) === '100' || (await written('s')) === 'completed');
    proxy.release();
    await execution.result();
    expect(valuesOf(execution)).toEqual([1, 100, null]);
  });

  test('is not published while nobody listens', async () => {
    const redis = await stage.redis();
    const execution = await stage.docket().add(busy, { times: 100_000, ms: 500 });
    await redis.config('RESETSTAT');
    await stage.finish(TASKS, { threads: 1 });
    expect(await redis.info('commandstats')).not.toContain('cmdstat_publish');
    await execution.sync();
    expect(execution.progress.current).toBe(100_000);
  });

  test('is not written by a worker that has lost the execution', async () => {
    const { reporter, reported, end } = reporting(({ increment }) => increment(9));
    const witness = { count: () => {}, end: () => {} };
    const counting = task('counting', (_args: {}, { progress }) => {
      witness.count = () => progress.increment();
      return new Promise<void>((resolve) => {
        witness.end = resolve;
      });
    });
    const docket = new Docket({ name: stage.name, url: stage.url });
    const first = await docket.add(reporter, {}, { key: 'k' });
    const beside = await docket.add(counting);
    stage.work({ reporter, counting }, { concurrency: 2 });
    await reported;
    await waitFor(() => beside.sync().then(() => beside.state === 'running'));
    const second = await docket.replace(
      task('other', () => {}),
      {},
      { key: 'k', when: '1h' },
    );
    // What the worker reports of another one meanwhile is written twice, so that this would have been, too.
    for (const seen of [1, 2]) {
      witness.count();
      await waitFor(async () => (await stage.record(beside.key)).i === String(seen));
    }
    witness.end();
    await beside.result();
    end();
    await expect(first.result()).rejects.toThrow(ExecutionSupersededError);
    await second.sync();
    expect(valuesOf(second)).toEqual([0, 100, null]);
    await docket.cancel('k');
    await docket.close();
  });
});
