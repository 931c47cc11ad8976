/** Policies that one execution has in place of its task's: they hold wherever it goes, and for nothing else. */
import { Agenda, call, cron, perpetual, retry, TimeoutError } from 'docket';
import { expect, onTestFinished, test, vi } from 'vitest';
import { addEachWay, CHAINS, endAll, left, pendingMs, ran, runsOf, scheduled, schedulesOf } from '../support/chains.js';
import { collect } from '../support/collect.js';
import { type Fleet, fixture, openFleet } from '../support/fleet.js';
import { describeEachMode, describeEachServer, describeOnRedis, describeWithoutThreads } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const HOUR = 3_600_000;
/** Threads are started for these, which takes long on a busy host. */
const LONG = { timeout: 120_000 };

/** The first of next month, in UTC: the first match of `0 0 1 * *`. */
function nextFirst(): number {
  const now = new Date();
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
}

describeEachMode('an execution', (url, threads) => {
  const work = (fleet: Fleet) => fleet.worker({ tasks: CHAINS, threads, concurrency: 8 });

  test('is retried as it was added, whatever its task declares', async () => {
    const fleet = await openFleet(url());
    const more = await addEachWay(fleet, 'once', { fails: 99 }, { retry: retry({ attempts: 3 }) });
    const fewer = await fleet.docket.add(
      'retrying',
      { probe: fleet.probe, fails: 99 },
      { retry: retry({ attempts: 1 }) },
    );
    const plain = await fleet.docket.add('once', { probe: fleet.probe, fails: 99 });
    await work(fleet);
    for (const execution of more) await ran(fleet, execution, 3);
    for (const execution of [fewer, plain]) await expect(execution.result()).rejects.toThrow('attempt 1 fails');
    await waitFor(async () => (await left(fleet)) === 0);
    for (const { key } of more) expect((await runsOf(fleet, key)).map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    for (const { key } of [fewer, plain]) expect(await runsOf(fleet, key)).toHaveLength(1);
  });

  test('has the time that it was given', async () => {
    const fleet = await openFleet(url());
    await work(fleet);
    const args = { probe: fleet.probe, how: 'listen' };
    const hurried = await fleet.docket.add('once', args, { timeout: '50ms', retry: retry({ attempts: 2 }) });
    await expect(hurried.result()).rejects.toThrow("task 'once' took longer than its timeout of 50 ms");
    expect(await runsOf(fleet, hurried.key)).toHaveLength(2);
  });

  test('gives its body the controls of the policies it was added with, and of no others', async () => {
    const fleet = await openFleet(url());
    await work(fleet);
    const result = async (options: object) => (await fleet.docket.add('controls', {}, options)).result();
    expect(await result({})).toEqual([]);
    expect(await result({ retry: retry() })).toEqual(['retry']);
    expect(await result({ timeout: '1m' })).toEqual(['timeout']);
    const all = { retry: retry(), timeout: '1m', perpetual: perpetual({ every: '1h' }), times: 1 };
    expect(await result(all)).toEqual(['perpetual', 'retry', 'timeout']);
  });

  test('that was rerouted because nobody had its task has its policies where a worker has it', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ tasks: fixture('results.js'), threads });
    const added = await fleet.docket.add('once', { probe: fleet.probe, fails: 1 }, { retry: retry({ attempts: 2 }) });
    await waitFor(async () => (await fleet.docket.snapshot()).totals.scheduled === 1); // rerouted: nobody has the task
    await work(fleet);
    expect(await added.result()).toBeNull();
    expect((await runsOf(fleet, added.key)).map(({ attempt }) => attempt)).toEqual([1, 2]);
  });
});

describeOnRedis('an execution whose thread', (url) => {
  test(
    'is blocked beyond the time that it was given loses the thread, and is retried as it was added',
    LONG,
    async () => {
      const fleet = await openFleet(url());
      await fleet.worker({ tasks: CHAINS, threads: 1, abortGrace: '50ms' });
      const args = { probe: fleet.probe, how: 'stubborn' };
      const stubborn = await fleet.docket.add('once', args, { timeout: '50ms', retry: retry({ attempts: 2 }) });
      await expect(stubborn.result()).rejects.toThrow(TimeoutError);
      expect((await runsOf(fleet, stubborn.key)).map(({ attempt }) => attempt)).toEqual([1, 2]);
    },
  );

  test('is lost is delivered again with its policies', LONG, async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ tasks: CHAINS, threads: 1 });
    const args = { probe: fleet.probe, how: 'exitOnce', fails: 1 };
    const added = await fleet.docket.add('once', args, { retry: retry({ attempts: 2 }) });
    expect(await added.result()).toBeNull();
    expect((await runsOf(fleet, added.key)).map(({ attempt }) => attempt)).toEqual([1, 1, 2, 2]);
  });
});

describeWithoutThreads('a chain of a task that declares none', (url, threads) => {
  const work = (fleet: Fleet) => fleet.worker({ tasks: CHAINS, threads, concurrency: 8 });

  test('goes on as it was added, and keeps its other policies from run to run', async () => {
    const fleet = await openFleet(url());
    const options = { perpetual: perpetual({ every: '50ms' }), retry: retry({ attempts: 2 }) };
    const chains = await addEachWay(fleet, 'once', { fails: 1 }, options);
    await work(fleet);
    for (const chain of chains) {
      const runs = await ran(fleet, chain, 6);
      expect(runs.slice(0, 6).map(({ attempt }) => attempt)).toEqual([1, 2, 1, 2, 1, 2]);
    }
    await endAll(fleet, chains);
  });

  test('runs as often as it was to, and ends with the outcome of the last run', async () => {
    const fleet = await openFleet(url());
    const options = { perpetual: perpetual({ every: '20ms' }), times: 3 };
    const chains = await addEachWay(fleet, 'once', { value: 'v', fails: 0 }, options);
    await work(fleet);
    await waitFor(async () => (await left(fleet)) === 0);
    for (const chain of chains) expect(await ran(fleet, chain, 3)).toHaveLength(3);
    const kept = await fleet.docket.getExecution('kept');
    expect([kept!.state, await kept!.result()]).toEqual(['completed', 'v']);
    expect(await schedulesOf(fleet.docket)).toEqual([]);
  });

  test('counts runs that failed, retries as one, and none that a strike has skipped', async () => {
    const fleet = await openFleet(url());
    const options = { key: 'k', perpetual: perpetual({ every: '20ms' }), retry: retry({ attempts: 2 }), times: 2 };
    const added = await fleet.docket.add('once', { probe: fleet.probe, fails: 2 }, options);
    await fleet.docket.strike('once');
    await work(fleet);
    await waitFor(async () => (await schedulesOf(fleet.docket))[0]?.lastOutcome?.state === 'cancelled');
    expect((await schedulesOf(fleet.docket))[0]).toMatchObject({
      runsLeft: 2,
      lastOutcome: { errorLine: expect.stringContaining('struck') },
    });
    await fleet.docket.restore('once');
    await waitFor(async () => (await left(fleet)) === 0);
    expect((await runsOf(fleet, added.key)).map(({ attempt }) => attempt)).toEqual([1, 2, 1, 2]);
  });

  test('has no run that would be due after its end', async () => {
    const fleet = await openFleet(url());
    await work(fleet);
    const until = new Date(Date.now() + 500);
    const args = { probe: fleet.probe };
    await fleet.docket.add('once', args, { key: 'k', perpetual: perpetual({ every: '50ms' }), until });
    await waitFor(async () => (await fleet.docket.getExecution('k'))?.state === 'completed');
    const dues = (await runsOf(fleet, 'k')).map(({ dueMs }) => dueMs);
    // One may have been placed after its time, when it counts as due.
    expect(dues.filter((due) => due > until.getTime()).length).toBeLessThanOrEqual(1);
    expect(await left(fleet)).toBe(0);
  });

  test('ends when its body says so', async () => {
    const fleet = await openFleet(url());
    await work(fleet);
    const options = { key: 'k', perpetual: perpetual({ every: '1h' }) };
    await fleet.docket.add('once', { probe: fleet.probe, say: [['cancel']] }, options);
    await waitFor(async () => (await fleet.docket.getExecution('k'))?.state === 'completed');
    expect([await left(fleet), await schedulesOf(fleet.docket)]).toEqual([0, []]);
  });

  test('takes over the chain of a task that declares another, until it is replaced', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    await work(fleet);
    const options = { key: 'k', perpetual: cron('0 0 1 * *') };
    await docket.add('hourly', { probe }, { ...options, when: 0 });
    await ran(fleet, { key: 'k' });
    expect(await waitFor(() => pendingMs(fleet, { key: 'k' }))).toBe(nextFirst());
    await docket.replace('hourly', { probe }, { key: 'k' });
    const [, run] = await ran(fleet, { key: 'k' }, 2);
    await waitFor(async () => (await pendingMs(fleet, { key: 'k' })) === run!.dueMs + HOUR);
    await endAll(fleet, [{ key: 'k' }]);
  });
});

describeEachServer('the first run of a schedule', (url) => {
  test('is due at the first match of its expression, or when it was added for', async () => {
    const fleet = await openFleet(url());
    const monthly = { perpetual: cron('0 0 1 * *') };
    const when = new Date(Date.now() + HOUR);
    const chains = [
      await fleet.docket.add('once', {}, { key: 'first', ...monthly }),
      await fleet.docket.add('once', {}, { key: 'when', ...monthly, when }),
      await fleet.docket.replace('once', {}, { key: 'replaced', ...monthly }),
      ...(await fleet.docket.addMany([call('once', {}, { key: 'many', ...monthly })])),
    ];
    const dues = await Promise.all(chains.map((chain) => scheduled(fleet, chain)));
    expect(dues).toEqual([nextFirst(), when.getTime(), nextFirst(), nextFirst()]);
    expect(chains[0]!.when.getTime()).toBe(nextFirst());
    await endAll(fleet, chains);
  });

  test('counts as one that there is, so a chain that would end before it is refused and not written', async () => {
    const fleet = await openFleet(url());
    const until = new Date(Date.now() + HOUR);
    const late = { when: '2h', perpetual: perpetual({ every: '1h' }), until } as const;
    await expect(fleet.docket.add('once', {}, late)).rejects.toMatchObject({ option: 'until' });
    const yearly = { perpetual: cron('0 0 1 1 *'), until: new Date() };
    await expect(fleet.docket.add('once', {}, yearly)).rejects.toThrow(/^until: expected a time after the first run/);
    expect(await left(fleet)).toBe(0);
  });

  test('is compared with its end by the clock of the server, whatever that of the producer says', async () => {
    const fleet = await openFleet(url());
    const nowMs = Date.now();
    const every = { perpetual: perpetual({ every: '1h' }) };
    vi.useFakeTimers({ toFake: ['Date'], now: nowMs + HOUR });
    onTestFinished(() => void vi.useRealTimers());
    const soon = await fleet.docket.add('once', {}, { ...every, key: 'k', until: new Date(nowMs + HOUR / 2) });
    expect(soon.disposition).toBe('scheduled');
    vi.setSystemTime(nowMs - HOUR);
    const past = fleet.docket.add('once', {}, { ...every, until: new Date(nowMs - HOUR / 2) });
    await expect(past).rejects.toMatchObject({ option: 'until' });
    vi.useRealTimers();
    await endAll(fleet, [soon]);
  });

  test('of an agenda is scattered with the others', async () => {
    const fleet = await openFleet(url());
    const agenda = new Agenda();
    agenda.add('once', {}, { key: 'a', perpetual: perpetual({ every: '1h' }), times: 2 });
    agenda.add('once', {}, { key: 'b', retry: retry() });
    const executions = await agenda.scatter(fleet.docket, { over: '1h', start: '1h' });
    expect(await schedulesOf(fleet.docket)).toMatchObject([{ key: 'a', runsLeft: 2 }]);
    await endAll(fleet, executions);
  });
});

describeEachServer('overrides that do not go with a task', (url) => {
  test('of which the producer knows only the name put the execution into quarantine', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ tasks: fixture('limits.js'), threads: 0 });
    const options = { key: 'k', perpetual: perpetual({ every: '1h' }) };
    const added = await fleet.docket.add('settled', { value: 'x' }, options);
    await expect(added.result()).rejects.toThrow(/debounce/);
    expect((await collect(fleet.docket.failures()))[0]!.reason).toMatch(/debounce/);
    expect(await schedulesOf(fleet.docket)).toEqual([]);
  });

  test.each([
    ['{}}', 'cannot be read'],
    ['{"perpetual":{"kind":"cron","expression":"0 9 * * *","timezone":"Moon/Crater"}}', 'cannot be read'],
  ])('and cannot be read put it into quarantine: %s', async (text, reason) => {
    const fleet = await openFleet(url());
    await fleet.worker({ tasks: CHAINS, threads: 0 });
    const message = Buffer.concat([
      ...[Buffer.from([0x98, 2]), packed('once'), Buffer.from([0, 1]), packed('an id'), Buffer.from([0xc0])],
      ...[packed(text), Buffer.from([0x80])],
    ]);
    await fleet.redis.xadd(fleet.key('work'), '*', 'm', message);
    await waitFor(async () => (await fleet.docket.snapshot()).totals.failures === 1);
    expect((await collect(fleet.docket.failures()))[0]!.reason).toContain(reason);
  });
});

/** A text of fewer than 256 bytes as msgpack. */
function packed(text: string): Buffer {
  return Buffer.concat([Buffer.from([0xd9, Buffer.byteLength(text)]), Buffer.from(text)]);
}
