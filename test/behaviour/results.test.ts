import {
  DocketClosedError,
  ExecutionNotFoundError,
  ExecutionSupersededError,
  ResultsDisabledError,
  retry,
  TimeoutError,
  task,
} from 'docket';
import { describe, expect, onTestFinished, test } from 'vitest';
import { PaymentDeclined, throwing, unreturnable, where } from '../fixtures/tasks/values.js';
import { importBuilt } from '../support/built.js';
import { killClients, loseAnswers, subscriptions } from '../support/clients.js';
import { holdingProxy } from '../support/proxy.js';
import { stopRenewals } from '../support/renewals.js';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const { SCRIPTS } =
  await importBuilt<typeof import('../../src/redis/scripts.generated.js')>('redis/scripts.generated.js');
const VALUES = new URL('../fixtures/tasks/values.js', import.meta.url);
const note = task('note', (_args: { n?: number }) => {});

/** A task that ends when it is told to. */
function holding() {
  const started = deferred();
  const ending = deferred<unknown>();
  const hold = task('hold', async () => {
    started.resolve();
    return await ending.promise;
  });
  return { hold, started: started.promise, ending };
}

describeEachServer('results:', (url) => {
  const stage = setStage(url);

  test('a handle whose add was lost in a failover does not show the older execution under its key', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const older = await docket.add(note, {}, { key: 'k' });
    await stage.finish({ note });
    await older.result();
    const before = await stage.record('k');
    const lost = await docket.add(note, {}, { key: 'k' });
    const waiting = lost.result();
    waiting.catch(() => {}); // awaited below
    const reading = lost.subscribe()[Symbol.asyncIterator]();
    // The new master knows nothing of the second add.
    await redis.multi().del(stage.key('run:k'), stage.key('work')).hset(stage.key('run:k'), before).exec();
    await redis.pexpire(stage.key('run:k'), 60_000);
    await expect(lost.sync()).rejects.toThrow(ExecutionNotFoundError);
    await expect(lost.result()).rejects.toThrow(ExecutionNotFoundError);
    await expect(waiting).rejects.toThrow(ExecutionNotFoundError); // the listener reads again
    await expect(reading.next()).rejects.toThrow(ExecutionNotFoundError);
    await expect(lost.progress.increment()).rejects.toThrow(ExecutionNotFoundError);
    expect(lost.state).toBe('queued');
    await older.sync();
    expect(older.state).toBe('completed');
  });

  describe('the arguments of an execution that has ended', () => {
    const fail = task('fail-once', (_args: { n: number }) => {
      throw new Error('no');
    });
    const tasks = { note, fail };
    const argsOf = async (key: string) => (await stage.docket().getExecution(key))?.args;

    test('are kept as long as its state by a worker with keepArguments, however it ended', async () => {
      const docket = stage.docket({ executionTtl: '10m' });
      await docket.add(note, { n: 1 }, { key: 'completed' });
      await docket.add(fail, { n: 2 }, { key: 'failed' });
      await docket.add(note, { n: 3 }, { key: 'struck' });
      await docket.strike(note, 'n', '==', 3);
      await stage.finish(tasks, { keepArguments: true });
      expect([await argsOf('completed'), await argsOf('failed'), await argsOf('struck')]).toEqual([
        { n: 1 },
        { n: 2 },
        { n: 3 },
      ]);
      const redis = await stage.redis();
      expect(await redis.pttl(stage.key('run:completed'))).toBeGreaterThan(500_000);
    });

    test('are gone otherwise, except from the handle that added it', async () => {
      const added = await stage.docket().add(note, { n: 1 }, { key: 'k' });
      await stage.finish(tasks);
      await added.sync();
      expect([await argsOf('k'), added.args]).toEqual([undefined, { n: 1 }]);
    });

    test.each([0, '1h'] as const)('are kept when it was cancelled before it ran (when: %s)', async (when) => {
      const added = await stage.docket().add(note, { n: 1 }, { key: 'k', when });
      await added.cancel();
      expect(await stage.docket().getExecution('k')).toMatchObject({ state: 'cancelled', args: { n: 1 } });
    });

    test('do not reach the next execution under its key', async () => {
      const docket = stage.docket();
      await docket.add(note, { n: 1 }, { key: 'k' });
      await stage.finish(tasks, { keepArguments: true });
      await docket.add(note, { n: 2 }, { key: 'k' });
      await stage.finish(tasks);
      expect(await argsOf('k')).toBeUndefined();
    });

    test('are not kept where no state is kept', async () => {
      await stage.docket({ executionTtl: 0 }).add(note, { n: 1 }, { key: 'k' });
      await stage.finish(tasks, { keepArguments: true });
      expect(await stage.record('k')).toEqual({});
    });
  });

  describe.each([0, 1])('with threads: %i', (threads) => {
    async function outcomeOf(kind: string, errors: (typeof PaymentDeclined)[] = []): Promise<unknown> {
      const execution = await stage.docket({ errors }).add(throwing, { kind });
      await stage.finish(VALUES, { threads });
      const error = await execution.result().then(
        () => 'no error',
        (e: unknown) => e,
      );
      return { error, line: execution.error, state: execution.state };
    }

    test('a built-in error comes back with its class, message, stack and cause', async () => {
      const outcome = (await outcomeOf('built-in')) as { error: RangeError };
      expect(outcome).toMatchObject({ line: 'RangeError: out of range', state: 'failed' });
      expect(outcome.error).toBeInstanceOf(RangeError);
      expect(outcome.error.message).toBe('out of range');
      expect(outcome.error.stack).toContain('values.js');
      expect(outcome.error.cause).toBeInstanceOf(TypeError);
    });

    test('an error of a registered class is an instance of it', async () => {
      const { error } = (await outcomeOf('custom', [PaymentDeclined])) as { error: PaymentDeclined };
      expect(error).toBeInstanceOf(PaymentDeclined);
      expect(error).toMatchObject({ name: 'PaymentDeclined', message: 'declined: no funds', reason: 'no funds' });
    });

    test('an error of an unknown class is an Error with the same name, message, stack and fields', async () => {
      const { error, line } = (await outcomeOf('custom')) as { error: Error; line: string };
      expect(error).toBeInstanceOf(Error);
      expect(error).not.toBeInstanceOf(PaymentDeclined);
      expect(error).toMatchObject({ name: 'PaymentDeclined', message: 'declined: no funds', reason: 'no funds' });
      expect(error.stack).toContain('values.js');
      expect(line).toBe('PaymentDeclined: declined: no funds');
    });

    test('fields of an error are kept, and its line is one line', async () => {
      expect(await outcomeOf('fields')).toMatchObject({
        error: { message: 'not found\nsecond line', code: 'E_GONE', status: 404 },
        line: 'Error: not found',
      });
    });

    test.each([
      ['text', 'only text'],
      ['nothing', undefined],
    ])('a task may throw what is no error: %s', async (kind, thrown) => {
      expect(await outcomeOf(kind)).toEqual({ error: thrown, line: String(thrown), state: 'failed' });
    });

    test('a result that is too large or cannot travel fails the execution, and is not retried', async () => {
      const docket = stage.docket();
      const tooLarge = await docket.add(unreturnable, { length: 2 * 1024 * 1024 });
      const aFunction = await docket.add(unreturnable, { length: 0 });
      await stage.finish(VALUES, { threads });
      await expect(tooLarge.result()).rejects.toMatchObject({ code: 'DOCKET_RESULT_TOO_LARGE', task: 'unreturnable' });
      await expect(aFunction.result()).rejects.toMatchObject({ code: 'DOCKET_UNENCODABLE_VALUE', path: 'result' });
      expect([tooLarge.attempt, aFunction.attempt]).toEqual([1, 1]);
    });

    test('the execution names the worker that ran it', async () => {
      const execution = await stage.docket().add(where, {}, { key: 'k' });
      await stage.finish(VALUES, { threads, name: 'the worker' });
      const result = await execution.result();
      expect(result).toMatchObject({ key: 'k', attempt: 1, worker: { name: 'the worker' } });
      expect(result.worker.threadId > 0).toBe(threads > 0);
      expect(execution.worker).toBe('the worker');
    });
  });

  describe('waiting for a result', () => {
    test('may begin before, while and after the execution runs', async () => {
      const { hold, started, ending } = holding();
      const execution = await stage.docket().add(hold);
      const before = execution.result();
      await waitFor(async () => (await stage.keys()).includes('listeners'));
      stage.work({ hold });
      await started;
      const during = execution.result();
      ending.resolve('done');
      expect(await Promise.all([before, during])).toEqual(['done', 'done']);
      expect(await execution.result()).toBe('done');
    });

    test('ends at the timeout, and the execution goes on', async () => {
      const { hold, started, ending } = holding();
      const execution = await stage.docket().add(hold);
      stage.work({ hold });
      await started;
      const error = await execution.result({ timeout: '50ms' }).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(TimeoutError);
      expect(error).toMatchObject({ code: 'DOCKET_TIMEOUT', message: expect.stringContaining(execution.key) });
      ending.resolve('done');
      expect(await execution.result()).toBe('done');
    });

    test('ends at the deadline', async () => {
      const execution = await stage.docket().add(note);
      await expect(execution.result({ deadline: new Date(Date.now() + 50) })).rejects.toThrow(TimeoutError);
      await expect(execution.result({ deadline: new Date(0) })).rejects.toThrow(TimeoutError);
    });

    test('is not cut short by a timeout or a deadline that timers cannot hold', async () => {
      const { hold, started, ending } = holding();
      const execution = await stage.docket().add(hold);
      const waiting = Promise.all([
        execution.result({ timeout: '30d' }),
        execution.result({ deadline: new Date('2100-01-01') }),
      ]);
      waiting.catch(() => {}); // told below
      stage.work({ hold });
      await started;
      ending.resolve('done');
      expect(await waiting).toEqual(['done', 'done']);
    });

    test('takes a timeout or a deadline, not both', async () => {
      const execution = await stage.docket().add(note);
      await expect(execution.result({ timeout: 1, deadline: new Date() })).rejects.toThrow(TypeError);
    });

    test.each([
      [{ timeout: -1 }],
      [{ timeout: Number.NaN }],
      [{ timeout: 'soon' as never }],
      [{ deadline: new Date('someday') }],
    ])('refuses a time that is none: %o', async (options) => {
      const execution = await stage.docket().add(note);
      await expect(execution.result(options)).rejects.toMatchObject({ code: 'DOCKET_INVALID_OPTION' });
    });

    test('ends when its signal aborts, with the reason', async () => {
      const execution = await stage.docket().add(note);
      const leaving = new AbortController();
      const result = execution.result({ signal: leaving.signal });
      leaving.abort(new Error('the client hung up'));
      await expect(result).rejects.toThrow('the client hung up');
      await expect(execution.result({ signal: leaving.signal })).rejects.toThrow('the client hung up');
    });

    test('ends with the docket', async () => {
      const docket = stage.docket();
      const { hold, started, ending } = holding();
      const execution = await docket.add(hold);
      const [queued, running] = [execution.result(), execution.result()];
      stage.work({ hold });
      await started;
      const told = [queued, running].map((result) => expect(result).rejects.toThrow(DocketClosedError));
      await docket.close();
      await Promise.all(told);
      await expect(execution.result()).rejects.toThrow(DocketClosedError);
      await expect(execution.sync()).rejects.toThrow(DocketClosedError);
      ending.resolve('for nobody');
    });

    test('ends when a newer execution has taken the key', async () => {
      const [docket, other] = [stage.docket(), stage.docket()];
      const first = await docket.add(note, { n: 1 }, { key: 'k' });
      await stage.finish({ note });
      const second = await other.add(note, { n: 2 }, { key: 'k' });
      await expect(first.result()).rejects.toThrow(ExecutionSupersededError);
      await stage.finish({ note });
      await expect(first.result()).rejects.toMatchObject({ code: 'DOCKET_EXECUTION_SUPERSEDED', key: 'k' });
      expect(await second.result()).toBeUndefined();
    });

    test('ends by an event when a newer execution takes the key', async () => {
      stopRenewals();
      const docket = stage.docket();
      const first = await docket.add(note, {}, { key: 'k' });
      const result = first.result();
      result.catch(() => {});
      await waitFor(async () => (await stage.keys()).includes('listeners'));
      const redis = await stage.redis();
      // As if it was replaced: in a state that frees the key, so that the add takes the record over in one step.
      await redis.multi().hset(stage.key('run:k'), 's', 'replaced').del(stage.key('work')).exec();
      await docket.add(note, {}, { key: 'k' });
      await expect(result).rejects.toThrow(ExecutionSupersededError);
    });

    test('ends when the record has expired', async () => {
      const docket = stage.docket({ executionTtl: '50ms' });
      const execution = await docket.add(note);
      await stage.finish({ note });
      await waitFor(async () => (await docket.getExecution(execution.key)) === null);
      const error = await execution.result().catch((e: unknown) => e);
      expect(error).toBeInstanceOf(ExecutionNotFoundError);
      expect(error).toMatchObject({ code: 'DOCKET_EXECUTION_NOT_FOUND', key: execution.key });
      await expect(execution.sync()).rejects.toThrow(ExecutionNotFoundError);
    });

    test('is refused where no results are kept', async () => {
      const execution = await stage.docket({ executionTtl: 0 }).add(note, {}, { key: 'k' });
      await expect(execution.result()).rejects.toThrow(ResultsDisabledError);
      await expect(execution.result()).rejects.toMatchObject({ code: 'DOCKET_RESULTS_DISABLED', key: 'k' });
    });

    test('with many others raises no warning', async () => {
      const warnings: Error[] = [];
      const listen = (warning: Error) => void warnings.push(warning);
      process.on('warning', listen);
      onTestFinished(() => void process.off('warning', listen));
      const docket = stage.docket();
      const executions = await Promise.all(Array.from({ length: 100 }, () => docket.add(note)));
      const { signal } = new AbortController();
      const results = executions.flatMap((execution) => [execution.result(), execution.result({ signal })]);
      stage.work({ note });
      await Promise.all(results);
      await new Promise(setImmediate); // warnings are emitted in a turn of their own
      expect(warnings).toEqual([]);
    });

    test('works for one execution in many places at once', async () => {
      const { hold, started, ending } = holding();
      const [docket, other] = [stage.docket(), stage.docket()];
      const execution = await docket.add(hold, {}, { key: 'k' });
      const found = await other.getExecution('k');
      const results = Array.from({ length: 20 }, (_, i) => (i % 2 ? execution : found!).result());
      const leaving = new AbortController();
      const left = execution.result({ signal: leaving.signal }).catch(() => 'left');
      stage.work({ hold });
      await started;
      leaving.abort();
      expect(await left).toBe('left');
      ending.resolve('done');
      expect(await Promise.all(results)).toEqual(results.map(() => 'done'));
    });

    test('goes on while an execution is tried again', async () => {
      const flaky = task('flaky', { retry: retry({ attempts: 3, delay: 20 }) }, (_args: {}, { attempt }) => {
        if (attempt < 3) throw new Error('not yet');
        return attempt;
      });
      const execution = await stage.docket().add(flaky);
      const result = execution.result();
      stage.work({ flaky });
      expect(await result).toBe(3);
      expect(execution).toMatchObject({ attempt: 3, state: 'completed', error: null });
    });
  });

  test('a record is kept for as long as its producer chose, counted from its end', async () => {
    const execution = await stage.docket({ executionTtl: '1h' }).add(note, {}, { key: 'k' });
    const redis = await stage.redis();
    expect(await redis.pttl(stage.key('run:k'))).toBe(-1);
    await stage.finish({ note });
    const ttl = await redis.pttl(stage.key('run:k'));
    expect(ttl).toBeLessThanOrEqual(3_600_000);
    expect(ttl).toBeGreaterThan(3_600_000 - 30_000);
    expect(await execution.result()).toBeUndefined();
  });
});

describeOnRedis('results:', (url) => {
  const stage = setStage(url);

  test('all waiting calls share one subscriber connection, and those of an execution one channel', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const executions = await Promise.all(Array.from({ length: 200 }, () => docket.add(note)));
    const results = executions.flatMap((execution) => [execution.result(), execution.result()]);
    await waitFor(async () => (await subscriptions(redis)).join() === '200');
    stage.work({ note });
    expect(await Promise.all(results)).toHaveLength(400);
    await waitFor(async () => (await subscriptions(redis)).every((count) => count <= 5)); // the worker has five
  });

  /** Waits for the result of a task that ends with `outcome`. Tells whether the whole record was read for it. */
  async function resultOf(outcome: Promise<unknown>): Promise<{ reply: Promise<unknown>; wasRead: boolean }> {
    stopRenewals();
    const redis = await stage.redis();
    const hold = task('hold', async () => await outcome);
    const execution = await stage.docket().add(hold);
    await redis.script('FLUSH');
    await redis.config('RESETSTAT');
    const reply = execution.result();
    reply.catch(() => {}); // told by the caller
    await waitFor(async () => /cmdstat_hmget:/.test(await redis.info('commandstats'))); // it has subscribed and looked
    await stage.finish({ hold });
    await reply.catch(() => {});
    expect(execution.state).toMatch(/completed|failed/);
    return { reply, wasRead: String(await redis.script('EXISTS', SCRIPTS.read.sha)) === '1' };
  }

  test('a small result or error travels in the event that ends its execution', async () => {
    const completed = await resultOf(Promise.resolve({ answer: 'x'.repeat(3_000) }));
    expect(await completed.reply).toEqual({ answer: 'x'.repeat(3_000) });
    expect(completed.wasRead).toBe(false);
    const failure = Promise.reject(new RangeError('too far'));
    failure.catch(() => {}); // the task throws it
    const failed = await resultOf(failure);
    await expect(failed.reply).rejects.toThrow(RangeError);
    expect(failed.wasRead).toBe(false);
  });

  test('a large result is read from the record', async () => {
    const { reply, wasRead } = await resultOf(Promise.resolve('x'.repeat(5_000)));
    expect(await reply).toBe('x'.repeat(5_000));
    expect(wasRead).toBe(true);
  });

  test('what others publish on the channel of an execution does not end the wait for it', async () => {
    const { hold, started, ending } = holding();
    const redis = await stage.redis();
    const execution = await stage.docket().add(hold);
    const result = execution.result();
    await waitFor(async () => (await subscriptions(redis)).join() === '1');
    const { g: generation } = await stage.record(execution.key);
    const head = `${generation} completed 1`;
    for (const event of [
      '',
      'completed',
      `${head}\n\n\n\n\n\n\nr\n\xc1`,
      `${head}\n1\nx\n`,
      `${generation} gone 1`,
      head,
    ]) {
      await redis.publish(stage.key(`events:${execution.key}`), event);
    }
    stage.work({ hold });
    await started;
    ending.resolve('done');
    expect(await result).toBe('done');
  });

  test('waiting survives the loss of the subscriber connection', async () => {
    const { hold, started, ending } = holding();
    const docket = stage.docket();
    const redis = await stage.redis();
    const execution = await docket.add(hold);
    const result = execution.result();
    await waitFor(async () => (await subscriptions(redis)).join() === '1');
    await killClients(redis, 'pubsub');
    stage.work({ hold });
    await started;
    ending.resolve('done');
    expect(await result).toBe('done');
  });

  test('an outcome that was published while the subscriber was away is found when it is back', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const execution = await docket.add(note);
    const result = execution.result();
    await waitFor(async () => (await subscriptions(redis)).join() === '1');
    const finished = stage.finish({ note });
    // Whoever subscribes is cut off at once, until the outcome is written.
    const state = async () => (await stage.record(execution.key)).s;
    while ((await state()) !== 'completed') await killClients(redis, 'pubsub');
    await finished;
    expect(await result).toBeUndefined();
  });

  test('an outcome that is published between a reconnection and the subscription is found at once', async () => {
    stopRenewals();
    const { hold, started, ending } = holding();
    const redis = await stage.redis();
    const proxy = await holdingProxy(new URL(stage.url).pathname);
    const execution = await stage.docket({ url: proxy.url }).add(hold);
    const result = execution.result();
    await waitFor(async () => (await subscriptions(redis)).join() === '1');
    stage.work({ hold });
    await started;
    proxy.hold();
    await killClients(redis, 'pubsub');
    await proxy.held;
    ending.resolve('done');
    await waitFor(async () => (await stage.record(execution.key)).s === 'completed');
    proxy.release();
    expect(await result).toBe('done');
  });

  test('waiting survives the loss of the connection over which it looks again', async () => {
    const { hold, started, ending } = holding();
    const docket = stage.docket();
    const redis = await stage.redis();
    const execution = await docket.add(hold);
    const result = execution.result();
    result.catch(() => {}); // told below
    await waitFor(async () => (await stage.keys()).includes('listeners'));
    // Its subscriber comes back, so it looks again, and the connection breaks before the answer.
    await loseAnswers(redis, () => killClients(redis, 'pubsub'));
    stage.work({ hold });
    await started;
    ending.resolve('done');
    expect(await result).toBe('done');
  });
});
