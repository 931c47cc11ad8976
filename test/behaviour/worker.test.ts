/** What a worker promises wherever its tasks run: in this very thread (`threads: 0`) and on threads of their own. */
import { Docket, InvalidOptionError, ModuleReferenceRequiredError, TaskModuleError, task } from 'docket';
import { Worker } from 'docket/worker';
import { expect, test } from 'vitest';
import { fixture, openFleet, shareWorker, TASKS } from '../support/fleet.js';
import { recordingLogger } from '../support/logger.js';
import { describeBothModes } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

interface About {
  key: string;
  attempt: number;
  when: Date;
  redelivered: boolean;
  cancelled: boolean;
  aborted: boolean;
  worker: { name: string; threadId: number };
  isMainThread: boolean;
  threadId: number;
}

describeBothModes('a worker', (url, threads) => {
  const shared = shareWorker(url, { threads });

  test('runs what is added, and its results come back', async () => {
    const { fleet } = shared();
    const values = Array.from({ length: 50 }, (_, i) => ({ i, text: `value ${i}`, at: new Date(i) }));
    const executions = await Promise.all(values.map((value) => fleet.docket.add('echo', { value })));
    expect(await Promise.all(executions.map((execution) => execution.result()))).toEqual(values);
  });

  test('runs what was added before it started, each once', async () => {
    const fleet = await openFleet(url(), { executionTtl: 0 });
    const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
    await Promise.all(keys.map((key) => fleet.docket.add('counted', { probe: fleet.probe }, { key })));
    await fleet.worker({ threads });
    await waitFor(async () => Object.keys(await fleet.counts()).length === keys.length);
    expect(await fleet.counts()).toEqual(Object.fromEntries(keys.map((key) => [key, 1])));
  });

  test('runs what is due later not before its time', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads, schedulingResolution: '10m' }); // it is woken, and does not poll
    const execution = await fleet.docket.add('about', {}, { when: '200ms' });
    const { when } = (await execution.result()) as About;
    await execution.sync();
    expect(when).toEqual(execution.when);
    expect(execution.startedAt!.getTime()).toBeGreaterThanOrEqual(when.getTime());
  });

  test.each([{ concurrency: 1 }, { concurrency: 2 }, { concurrency: 6 }])(
    'runs $concurrency at once when there is work, and no more',
    async ({ concurrency }) => {
      const fleet = await openFleet(url(), { executionTtl: 0 });
      await Promise.all(
        Array.from({ length: 8 * concurrency }, () => fleet.docket.add('overlap', { probe: fleet.probe, ms: 25 })),
      );
      await fleet.worker({ threads, concurrency });
      await waitFor(async () => (await fleet.steps()).length === 2 * 8 * concurrency);
      let running = 0;
      const overlaps = (await fleet.steps()).map((step) => (running += step === 'begins' ? 1 : -1));
      expect(Math.max(...overlaps)).toBe(concurrency);
    },
  );

  test('passes key, attempt, due time, delivery and place to the task', async () => {
    const { fleet, running } = shared();
    const { worker } = running;
    const execution = await fleet.docket.add('about', {}, { key: 'a "key"\n' });
    const about = (await execution.result()) as About;
    await execution.sync();
    expect(about).toMatchObject({
      key: 'a "key"\n',
      attempt: 1,
      redelivered: false,
      cancelled: false,
      aborted: false,
      isMainThread: threads === 0,
      worker: { name: worker.name, threadId: about.threadId },
    });
    expect(about.when.getTime()).toBeCloseTo(execution.when.getTime(), -3);
    expect(execution.worker).toBe(worker.name);
  });

  test('uses the key that the producer sees for an execution without one', async () => {
    const { fleet } = shared();
    const execution = await fleet.docket.add('about');
    expect(((await execution.result()) as About).key).toBe(execution.key);
  });

  test('logs the lines of a task with what they belong to', async () => {
    const { fleet, running } = shared();
    const { worker, lines } = running;
    await (await fleet.docket.add('logs', {}, { key: 'logged' })).result();
    const line = await waitFor(() => lines.find(({ message }) => message === 'an informative line'));
    const common = { task: 'logs', key: 'logged', attempt: 1, docket: fleet.name, worker: worker.name };
    expect(line).toMatchObject({ level: 'info', fields: { ...common, amount: 3 } });
    expect(line?.fields.nested).toContain('b: 2');
    expect(line?.fields.thread).toBeTypeOf('number');
    expect(lines.find(({ message }) => message === 'a line without fields')).toMatchObject({
      level: 'warn',
      fields: common,
    });
  });

  test('lets a task add more work to its docket', async () => {
    const { fleet } = shared();
    await (await fleet.docket.add('parent', { probe: fleet.probe, children: 40 }, { key: 'p' })).result();
    await expect.poll(async () => Object.keys(await fleet.counts())).toHaveLength(40);
    const children = await Promise.all(Array.from({ length: 40 }, (_, i) => fleet.docket.getExecution(`p-${i}`)));
    await Promise.all(children.map((child) => child!.result()));
  });

  test('keeps the error of a failed task, and goes on', async () => {
    const { fleet, running } = shared();
    const { lines } = running;
    const failed = await fleet.docket.add('fail', { message: 'no such luck' });
    await expect(failed.result()).rejects.toThrow('no such luck');
    await failed.sync();
    expect(failed).toMatchObject({ state: 'failed', error: 'Error: no such luck', attempt: 2 });
    await waitFor(() => lines.some(({ level, message }) => level === 'error' && message.includes('no such luck')));
    expect(await (await fleet.docket.add('echo', { value: 1 })).result()).toBe(1);
  });

  test('fails an attempt whose result cannot travel or is too large, once', async () => {
    const fleet = await openFleet(url(), { maxPayloadBytes: 2_000 });
    await fleet.worker({ threads, tasks: [TASKS, fixture('results.js')] });
    const [large, strange] = await Promise.all(['large', 'strange'].map((name) => fleet.docket.add(name)));
    await expect(large!.result()).rejects.toMatchObject({ code: 'DOCKET_RESULT_TOO_LARGE' });
    await expect(strange!.result()).rejects.toMatchObject({ code: 'DOCKET_UNENCODABLE_VALUE' });
    await Promise.all([large!.sync(), strange!.sync()]);
    expect([large!.attempt, strange!.attempt]).toEqual([1, 1]);
  });

  test('has the built-in tasks trace, fail and sleep', async () => {
    const { fleet, running } = shared();
    const { lines } = running;
    await (await fleet.docket.add('trace', { message: 'hello there' }, { key: 'traced' })).result();
    const line = await waitFor(() => lines.find(({ message }) => message === 'hello there'));
    expect(line!.fields).toMatchObject({ key: 'traced', ageMs: expect.any(Number) });
    expect(await (await fleet.docket.add('sleep', { seconds: 0.01 })).result()).toBeUndefined();
    await expect((await fleet.docket.add('sleep', { seconds: -1 })).result()).rejects.toThrow(InvalidOptionError);
  });

  test('reroutes unknown tasks, uncharged, and logs that', async () => {
    const fleet = await openFleet(url());
    const { lines } = await fleet.worker({ threads });
    const [kept, lean] = await Promise.all([
      fleet.docket.add('from-a-newer-release', { probe: fleet.probe }, { key: 'unknown' }),
      fleet.with({ executionTtl: 0 }).add('from-a-newer-release', { probe: fleet.probe }),
    ]);
    await waitFor(async () => (await fleet.redis.zcard(fleet.key('schedule'))) === 2);
    await kept.sync();
    expect(kept).toMatchObject({ state: 'scheduled', attempt: 1, args: { probe: fleet.probe } });
    expect(await fleet.redis.zscore(fleet.key('schedule'), `l${lean.key}`)).not.toBeNull();
    expect(lines.filter(({ level, message }) => level === 'warn' && message.includes('is rerouted'))).toHaveLength(2);
    expect(await (await fleet.docket.add('echo', { value: 'still here' })).result()).toBe('still here');
    fleet.leavesWork();
  });

  test('is listed while it runs, and leaves nothing of itself behind', async () => {
    const fleet = await openFleet(url(), { heartbeatInterval: '50ms' });
    const running = await fleet.worker({ threads, concurrency: 4 });
    const consumer = await waitFor(async () => (await fleet.redis.zrange(fleet.key('workers'), '0', '-1'))[0]);
    expect(consumer).toMatch(new RegExp(`^${running.worker.name}:[0-9a-f]+$`));
    const report = await fleet.redis.hgetall(fleet.key(`worker:${consumer}`));
    expect(report).toMatchObject({ name: running.worker.name, threads: String(threads), concurrency: '4' });
    expect(JSON.parse((report as { tasks: string }).tasks)).toEqual(expect.arrayContaining(['trace', 'echo', 'hold']));
    await (await fleet.docket.add('noop')).result();
    expect(await fleet.consumers()).toEqual([consumer]);

    await running.stop();
    expect(await fleet.redis.zcard(fleet.key('workers'))).toBe(0);
    expect(await fleet.redis.exists(fleet.key(`worker:${consumer}`))).toBe(0);
    expect(await fleet.consumers()).toEqual([]);
  });

  test('runs until nothing is left, also of what is due later and of what tasks add', async () => {
    const fleet = await openFleet(url());
    const { probe, docket } = fleet;
    await docket.add('counted', { probe }, { key: 'later', when: '300ms' });
    await docket.add('parent', { probe, children: 3 }, { key: 'p', when: '100ms' });
    const { logger } = recordingLogger();
    await new Worker(docket, { tasks: TASKS, threads, logger }).runUntilFinished();
    expect(await fleet.counts()).toEqual({ later: 1, 'p-0': 1, 'p-1': 1, 'p-2': 1 });
    expect((await docket.getExecution('later'))?.state).toBe('completed');
  });

  test('does not finish while another worker still runs something', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads, concurrency: 1 });
    const held = await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'held' });
    await fleet.step('start held 1');
    const { logger, lines } = recordingLogger();
    const second = new Worker(fleet.docket, { tasks: TASKS, threads, logger });
    const order: string[] = [];
    const finished = second.runUntilFinished().then(() => order.push('finished'));
    await waitFor(() => lines.some(({ message }) => message.endsWith('is ready')));
    expect(await (await fleet.docket.add('echo', { value: 1 })).result()).toBe(1);
    expect(order).toEqual([]);
    await fleet.release();
    await held.result();
    await finished;
  });

  test('ends at once when there is nothing to do until it is finished', async () => {
    const fleet = await openFleet(url());
    await new Worker(fleet.docket, { threads, logger: recordingLogger().logger }).runUntilFinished();
    expect(await fleet.consumers()).toEqual([]);
  });

  test('ends when its signal aborts, and does not start when that has happened', async () => {
    const fleet = await openFleet(url());
    const stopping = new AbortController();
    const { logger, lines } = recordingLogger();
    const ended = new Worker(fleet.docket, { threads, logger }).runForever({ signal: stopping.signal });
    await waitFor(() => lines.some(({ message }) => message.endsWith('is ready')));
    stopping.abort();
    await ended;
    const late = recordingLogger();
    await new Worker(fleet.docket, { threads, logger: late.logger }).runForever({ signal: stopping.signal });
    expect(late.lines).toEqual([]);
  });

  test('refuses to be started twice', async () => {
    const fleet = await openFleet(url());
    const { worker } = await fleet.worker({ threads });
    await expect(worker.runForever()).rejects.toThrow('started before');
    await worker.close();
    await expect(worker.runUntilFinished()).rejects.toThrow('started before');
  });

  test('can be closed before it starts, and then does not start', async () => {
    const fleet = await openFleet(url());
    const { logger, lines } = recordingLogger();
    const worker = new Worker(fleet.docket, { threads, logger });
    await worker.close();
    await worker.runForever();
    expect(lines).toEqual([]);
  });

  test('can be closed while it starts', async () => {
    const fleet = await openFleet(url());
    const { logger } = recordingLogger();
    const worker = new Worker(fleet.docket, { tasks: fixture('slow-to-load.js'), threads, logger });
    const ended = worker.runForever();
    await worker.close();
    await ended;
    expect(await fleet.consumers()).toEqual([]);
  });

  test('can be closed twice, also at once, and disposed of', async () => {
    const fleet = await openFleet(url());
    const { worker, ended } = await fleet.worker({ threads });
    await Promise.all([worker.close(), worker.close(), worker[Symbol.asyncDispose]()]);
    await worker.close();
    await expect(ended).resolves.toBeUndefined();
  });

  test.each([
    ['that is broken', 'throws.js', /throws\.js.*TypeError: the module is broken/],
    ['that is missing', 'missing.js', /missing\.js.*there is no file/],
    ['without tasks', 'empty.js', /empty\.js.*has no tasks.*it exports helper/],
    ['without the export that is asked for', 'tasks.js:nonesuch', /has no export 'nonesuch'/],
  ])('does not start with a module %s', async (_, module, message) => {
    const fleet = await openFleet(url());
    const worker = new Worker(fleet.docket, { tasks: fixture(module), threads, logger: recordingLogger().logger });
    const error = await worker.runForever().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TaskModuleError);
    expect((error as Error).message).toMatch(message);
    expect(await fleet.redis.zcard(fleet.key('workers'))).toBe(0);
    expect(await fleet.consumers()).toEqual([]);
  });

  test('waits for its Redis at the start, and says so once, for as long as it may', async () => {
    await using docket = new Docket({ url: 'redis://:geheim@127.0.0.1:1' });
    const { logger, lines } = recordingLogger();
    const error = await new Worker(docket, { threads, logger, connectTimeout: '2s' })
      .runForever()
      .catch((reason) => reason);
    expect(error).toMatchObject({ code: 'DOCKET_REDIS_UNAVAILABLE' });
    expect(String(error)).toContain('nothing listens there');
    expect(lines.map(({ message }) => message)).toEqual([
      expect.stringMatching(/nothing listens there: waiting for it$/),
    ]);
    expect(String(error) + JSON.stringify(lines)).not.toContain('geheim');
  });
});

test('a worker with threads: 0 runs tasks that are given as values', async () => {
  const fleet = await openFleet('memory://values');
  const double = task('double', ({ n }: { n: number }) => 2 * n);
  await fleet.worker({ threads: 0, tasks: { double } });
  expect(await (await fleet.docket.add(double, { n: 21 })).result()).toBe(42);
});

test('a worker with threads takes modules only, and its error says what to export', async () => {
  await using docket = new Docket();
  const hello = task('hello', () => {});
  const wrong = [{ hello }, [hello]] as unknown as { hello: typeof hello }[];
  for (const tasks of wrong) {
    expect(() => new Worker(docket, { tasks, threads: 1 })).toThrow(ModuleReferenceRequiredError);
  }
  expect(() => new Worker(docket, { tasks: { hello }, threads: 1 })).toThrow(/Export the collection from a module/);
});
