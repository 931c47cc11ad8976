/** Tasks that go on by themselves: when the next run is due, and that there is always exactly one. */
import { PoisonedError } from 'docket';
import { expect, test } from 'vitest';
import { addEachWay, CHAINS, endAll, left, pendingMs, ran, runsOf, scheduled, watchLeft } from '../support/chains.js';
import { type Fleet, openFleet } from '../support/fleet.js';
import { describeOnAnyServer, describeOnRedis, describeWithoutThreads } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const HOUR = 3_600_000;
const SOON = { redeliveryTimeout: '500ms' } as const;
const COMMAND = ['--tasks', CHAINS, '--threads', '2', '--redelivery-timeout', '500ms'];

describeWithoutThreads('a perpetual task', (url, threads) => {
  const workers = async (fleet: Fleet, count = 2) => {
    for (let i = 0; i < count; i++) await fleet.worker({ tasks: CHAINS, threads, concurrency: 8 });
  };

  test('is due again an interval after it was due, under its key', async () => {
    const fleet = await openFleet(url());
    const chains = await addEachWay(fleet, 'hourly', {}, { when: '50ms' });
    const watched = watchLeft(fleet, 4);
    await workers(fleet);
    for (const chain of chains) {
      const [run] = await ran(fleet, chain);
      await waitFor(async () => ((await pendingMs(fleet, chain)) ?? 0) > run!.dueMs);
      expect(await pendingMs(fleet, chain)).toBe(run!.dueMs + HOUR);
      if (!chain.keeps) continue;
      const next = await fleet.docket.getExecution(chain.key);
      expect(next).toMatchObject({ state: 'scheduled', attempt: 1, worker: null, startedAt: null, error: null });
      expect(next!.when.getTime()).toBe(run!.dueMs + HOUR);
      expect(next!.args).toEqual({ probe: fleet.probe });
    }
    await watched();
    expect(await runsOf(fleet)).toHaveLength(4);
    await endAll(fleet, chains);
  });

  test('goes on after its last attempt failed, and not between attempts, which share one due time', async () => {
    const fleet = await openFleet(url());
    const chains = await addEachWay(fleet, 'hourlyRetrying', { fails: 99 });
    const watched = watchLeft(fleet, 4);
    await workers(fleet);
    for (const chain of chains) {
      const runs = await ran(fleet, chain, 3);
      expect(runs.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
      const dues = new Set(runs.map(({ dueMs }) => dueMs));
      expect(dues.size).toBe(1);
      await waitFor(async () => (await pendingMs(fleet, chain)) === runs[0]!.dueMs + HOUR);
    }
    await watched();
    expect(await runsOf(fleet)).toHaveLength(12);
    await endAll(fleet, chains);
  });

  test('does not drift: the due times of its runs are an interval apart', async () => {
    const fleet = await openFleet(url());
    const chains = await addEachWay(fleet, 'tick');
    const watched = watchLeft(fleet, 4);
    await workers(fleet);
    for (const chain of chains) await ran(fleet, chain, 21);
    await watched();
    await endAll(fleet, chains);
    for (const chain of chains) {
      const dues = (await runsOf(fleet, chain.key)).map(({ dueMs }) => dueMs);
      expect(new Set(dues).size).toBe(dues.length);
      const intervals = dues.slice(1).map((due, i) => due - dues[i]!);
      // A busy host may be late by a whole interval; the chain then goes on from there. One that drifts has no exact one.
      expect(Math.min(...intervals)).toBe(100);
      expect(intervals.filter((interval) => interval === 100).length).toBeGreaterThanOrEqual(5);
    }
  });

  test('keeps the result of its last run only: a run that is followed by another has been superseded', async () => {
    const fleet = await openFleet(url());
    const first = await fleet.docket.add('tick', { probe: fleet.probe }, { key: 'chain' });
    const result = first.result();
    await workers(fleet, 1);
    await expect(result).rejects.toMatchObject({ code: 'DOCKET_EXECUTION_SUPERSEDED' });
    await fleet.docket.cancel('chain');
  });

  test('that is behind goes on at the next point of its grid, and skips the points that have passed', async () => {
    const fleet = await openFleet(url());
    const chains = await addEachWay(fleet, 'tick', { how: 'pause', ms: 250 });
    await workers(fleet);
    for (const chain of chains) {
      const dues = (await ran(fleet, chain, 7)).map(({ dueMs }) => dueMs);
      const intervals = dues.slice(1).map((due, i) => due - dues[i]!);
      for (const interval of intervals) expect(interval).toBeGreaterThanOrEqual(249);
      // The worker's copy of the server's clock may be behind, so that a point has just passed on the server.
      expect(intervals.filter((interval) => interval % 100 === 0).length).toBeGreaterThanOrEqual(3);
    }
    await endAll(fleet, chains);
  });

  test('without an interval runs again as soon as it has ended', async () => {
    const fleet = await openFleet(url());
    const chains = await addEachWay(fleet, 'restless');
    const watched = watchLeft(fleet, 4);
    await workers(fleet);
    for (const chain of chains) {
      const dues = (await ran(fleet, chain, 10)).map(({ dueMs }) => dueMs);
      expect(dues).toEqual([...dues].sort((a, b) => a - b));
    }
    await watched();
    await endAll(fleet, chains);
  });

  test('goes on when its body says, for the next run only, even if it fails', async () => {
    const fleet = await openFleet(url());
    const at = new Date(Date.now() + 5 * HOUR);
    const words: [say: unknown[], isRight: (afterMs: number, nextMs: number) => boolean][] = [
      [[['every', '2h']], (afterMs) => afterMs === 2 * HOUR],
      [
        [
          ['after', '2h'],
          ['at', at],
          ['every', '3h'],
        ],
        (_, nextMs) => nextMs === at.getTime(),
      ],
      [
        [
          ['at', at],
          ['after', '2h'],
        ],
        (afterMs) => afterMs >= 2 * HOUR && afterMs < 2 * HOUR + 20_000,
      ],
      [
        [
          ['every', '2h'],
          ['every', 1_000 * HOUR],
        ],
        (afterMs) => afterMs === 1_000 * HOUR,
      ],
    ];
    const groups = words.flatMap(([say, isRight], i) =>
      [0, 1].map(async (fails) => {
        const key = `${i} ${fails}`.replace(' ', '-');
        const chain = await fleet.docket.add('hourly', { probe: fleet.probe, say, fails }, { key });
        const lean = fleet.with({ executionTtl: 0 });
        return [chain, await lean.add('hourly', { probe: fleet.probe, say, fails })].map((one) => ({
          ...one,
          key: one.key,
          isRight,
        }));
      }),
    );
    const chains = (await Promise.all(groups)).flat();
    await workers(fleet, 1);
    for (const { key, isRight } of chains) {
      const [run] = await ran(fleet, { key });
      const nextMs = await scheduled(fleet, { key });
      expect([key, nextMs - run!.dueMs]).toSatisfy(() => isRight(nextMs - run!.dueMs, nextMs));
    }
    await endAll(fleet, chains);
  });

  test('counts a delay that its body asks for from the end of the run', async () => {
    const fleet = await openFleet(url());
    const chains = await addEachWay(fleet, 'hourly', { say: [['after', '5m']], how: 'pause', ms: 100 });
    await workers(fleet, 1);
    for (const chain of chains) {
      const [run] = await ran(fleet, chain);
      expect((await scheduled(fleet, chain)) - run!.dueMs).toBeGreaterThanOrEqual(300_000 + 99);
    }
    await endAll(fleet, chains);
  });

  test('keeps the arguments that its body gives it, and forgets what else it said', async () => {
    const fleet = await openFleet(url());
    const { probe } = fleet;
    const now = ['at', new Date(0)];
    const last = { probe, value: 'third' };
    const second = { probe, value: 'second', say: [['every', '2h'], now, ['perpetuate', last]] };
    const chains = await addEachWay(fleet, 'hourly', { value: 'first', say: [now, ['perpetuate', second]] });
    const watched = watchLeft(fleet, 4);
    await workers(fleet, 1);
    for (const chain of chains) {
      const runs = await ran(fleet, chain, 3);
      expect(runs.map(({ value }) => value)).toEqual(['first', 'second', 'third']);
      expect(runs[1]!.dueMs).toBeGreaterThanOrEqual(runs[0]!.dueMs);
      await waitFor(async () => (await pendingMs(fleet, chain)) === runs[2]!.dueMs + HOUR);
      if (chain.keeps) expect((await fleet.docket.getExecution(chain.key))!.args).toEqual(last);
    }
    await watched();
    await endAll(fleet, chains);
  });

  test.each([
    { args: { value: 'last' }, ended: 'completed' },
    { args: { fails: 1 }, ended: 'failed' },
  ])('ends when its body says so, whatever else it says ($ended)', async ({ args, ended }) => {
    const fleet = await openFleet(url());
    const say = [['cancel'], ['every', 0], ['after', 0], ['perpetuate', { probe: fleet.probe }]];
    const chains = await addEachWay(fleet, 'hourly', { say, ...args });
    const kept = chains.filter(({ keeps }) => keeps);
    const results = kept.map((chain) => chain.result().catch((error) => error.message));
    await workers(fleet, 1);
    await waitFor(async () => (await left(fleet)) === 0);
    expect(await runsOf(fleet)).toHaveLength(4);
    const expected = ended === 'completed' ? 'last' : 'attempt 1 fails';
    expect(await Promise.all(results)).toEqual([expected, expected]);
    for (const { key, keeps } of chains) {
      expect((await fleet.docket.getExecution(key))?.state).toBe(keeps ? ended : undefined);
    }
  });

  test('ignores what was said by an attempt that is followed by another', async () => {
    const fleet = await openFleet(url());
    const args = { fails: 1, saysIn: 1, say: [['cancel'], ['every', '2h']] };
    const chains = await addEachWay(fleet, 'hourlyRetrying', args);
    await workers(fleet, 1);
    for (const chain of chains) {
      const [first] = await ran(fleet, chain, 2);
      await expect.poll(() => pendingMs(fleet, chain)).toBe(first!.dueMs + HOUR);
    }
    await endAll(fleet, chains);
  });

  test('with a cron expression fails when its body sets an interval, and goes on', async () => {
    const fleet = await openFleet(url());
    const chain = await fleet.docket.add('monthly', { probe: fleet.probe, say: [['every', '1h']] }, { key: 'k' });
    const { lines } = await fleet.worker({ tasks: CHAINS, threads });
    await waitFor(() => lines.some(({ message }) => message.includes('follows a cron expression')));
    const next = new Date(await scheduled(fleet, chain));
    expect([next.getUTCDate(), next.getUTCHours(), next.getUTCMinutes(), next.getUTCSeconds()]).toEqual([1, 0, 0, 0]);
    await endAll(fleet, [chain]);
  });

  test('can be cancelled and replaced by its own body', async () => {
    const fleet = await openFleet(url());
    const cancelling = await addEachWay(fleet, 'hourly', { how: 'cancelItself' });
    await workers(fleet);
    await waitFor(async () => (await left(fleet)) === 0);
    for (const { key, keeps } of cancelling) {
      expect((await fleet.docket.getExecution(key))?.state).toBe(keeps ? 'cancelled' : undefined);
    }
    const before = Date.now();
    await fleet.docket.add('hourly', { probe: fleet.probe, how: 'replaceItself' }, { key: 'k' });
    const nextMs = await scheduled(fleet, { key: 'k' });
    expect(nextMs - before).toBeGreaterThan(HOUR + 1);
    await waitFor(async () => (await left(fleet)) === 1); // its old run is over
    expect(await pendingMs(fleet, { key: 'k' })).toBe(nextMs);
    expect((await fleet.docket.getExecution('k'))!.args).toMatchObject({ value: 'new' });
    await endAll(fleet, [{ key: 'k' }]);
  });

  test('keeps its key: adds do nothing at any time', async () => {
    const fleet = await openFleet(url());
    const lean = fleet.with({ executionTtl: 0 });
    const chains = [
      await fleet.docket.add('tick', { probe: fleet.probe }, { key: 'kept' }),
      await lean.add('tick', { probe: fleet.probe }, { key: 'lean' }),
    ];
    await workers(fleet);
    const watched = watchLeft(fleet, 2);
    const dispositions = new Set<string>();
    await waitFor(async () => {
      const adds = ['kept', 'lean'].flatMap((key) =>
        [fleet.docket, lean].map((docket) => docket.add('tick', { probe: fleet.probe, value: 'doubled' }, { key })),
      );
      for (const { disposition } of await Promise.all(adds)) dispositions.add(disposition);
      return (await runsOf(fleet, 'kept')).length > 5 && (await runsOf(fleet, 'lean')).length > 5;
    });
    await watched();
    await endAll(fleet, chains);
    expect([...dispositions]).toEqual(['already_scheduled']);
    const runs = await runsOf(fleet);
    expect(new Set(runs.map(({ key, dueMs }) => `${key} ${dueMs}`)).size).toBe(runs.length);
    expect(runs.filter(({ value }) => value === 'doubled')).toEqual([]);
  });

  test('that is replaced again and again, as it waits and as it runs, is never doubled', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    await workers(fleet);
    let generation = 0;
    const replace = () =>
      docket.replace('tick', { probe, value: String(generation++), how: 'pause', ms: 5 }, { key: 'k' });
    await replace();
    await waitFor(async () => {
      await Promise.all([replace(), replace()]);
      return generation > 60;
    });
    await ran(fleet, { key: 'k' });
    await waitFor(async () => (await runsOf(fleet, 'k')).at(-1)!.value === String(generation - 1));
    await waitFor(async () => (await left(fleet)) === 1);
    const before = (await runsOf(fleet, 'k')).length;
    const watched = watchLeft(fleet, 1);
    const runs = (await ran(fleet, { key: 'k' }, before + 3)).slice(before);
    await watched();
    expect(new Set(runs.map(({ value }) => value))).toEqual(new Set([String(generation - 1)]));
    expect(new Set(runs.map(({ dueMs }) => dueMs)).size).toBe(runs.length);
    await endAll(fleet, [{ key: 'k' }]);
    await waitFor(async () => (await fleet.redis.exists(fleet.key('superseded'))) === 0);
  });

  test('outlives workers that drain, whether it runs or waits', async () => {
    const fleet = await openFleet(url());
    const chains = await addEachWay(fleet, 'hourly', { how: 'listen' });
    const watched = watchLeft(fleet, 4);
    const options = { tasks: CHAINS, threads, concurrency: 8, drainTimeout: '10.1s', abortGrace: '10s' } as const;
    const first = await fleet.worker(options);
    for (const chain of chains) await ran(fleet, chain);
    await first.stop(); // interrupted
    expect(await Promise.all(chains.map((chain) => pendingMs(fleet, chain)))).toEqual([null, null, null, null]);
    await fleet.release();
    const second = await fleet.worker(options);
    for (const chain of chains) {
      const runs = await ran(fleet, chain, 2);
      expect(new Set(runs.map(({ dueMs }) => dueMs)).size).toBe(1);
      expect(runs.map(({ attempt }) => attempt)).toEqual([1, 1]);
      expect(await scheduled(fleet, chain)).toBe(runs[0]!.dueMs + HOUR);
    }
    await second.stop();
    await fleet.worker(options);
    await watched();
    expect(await runsOf(fleet)).toHaveLength(8);
    await endAll(fleet, chains);
  });
});

describeOnAnyServer('a perpetual task that ends its thread', (url) => {
  test('goes on, and what its body said is lost', async () => {
    const fleet = await openFleet(url());
    const chains = await addEachWay(fleet, 'hourly', { how: 'exitOnce', saysIn: 0 });
    const saying = await fleet.docket.add(
      'hourly',
      { probe: fleet.probe, how: 'exit', say: [['cancel']] },
      { key: 'said' },
    );
    const watched = watchLeft(fleet, 5);
    for (let i = 0; i < 2; i++) await fleet.worker({ tasks: CHAINS, threads: 2, maxDeliveries: 2 });
    for (const chain of [...chains, saying]) {
      const [run] = await ran(fleet, chain, 2);
      // If its thread ends before it has reported this run, too, the run is repeated first.
      await expect.poll(() => scheduled(fleet, chain)).toBe(run!.dueMs + HOUR);
    }
    await watched();
    // A thread may end before it has reported what else it had run, which then runs again: but under the same due time.
    expect(new Set((await runsOf(fleet)).map(({ key, dueMs }) => `${key} ${dueMs}`)).size).toBe(5);
    await endAll(fleet, [...chains, saying]);
  });

  test('each time gives up this run, and goes on with the next', async () => {
    const fleet = await openFleet(url());
    const chains = await addEachWay(fleet, 'hourly', { how: 'exit', say: [['every', '2h']] });
    const watched = watchLeft(fleet, 4);
    const { lines } = await fleet.worker({ tasks: CHAINS, threads: 2, maxDeliveries: 2 });
    for (const chain of chains) {
      const [first, second] = await ran(fleet, chain, 2);
      expect(second).toEqual(first);
      expect(await scheduled(fleet, chain)).toBe(first!.dueMs + HOUR);
      const isGivenUp = ({ message }: { message: string }) =>
        message.includes(`'${chain.key}' was running when its thread`);
      expect(lines.filter(isGivenUp)).toHaveLength(1);
    }
    await watched();
    await endAll(fleet, chains);
  });

  test('fails when there is no next run', async () => {
    const fleet = await openFleet(url());
    const execution = await fleet.docket.add('once', { probe: fleet.probe, how: 'exit' }, { key: 'k' });
    await fleet.worker({ tasks: CHAINS, threads: 1, maxDeliveries: 1 });
    await expect(execution.result()).rejects.toMatchObject({ name: PoisonedError.name, charges: 1 });
  });
});

describeOnRedis('a perpetual task whose worker is killed', (url) => {
  test('is run again by another worker, and goes on', async () => {
    const fleet = await openFleet(url());
    const chains = await addEachWay(fleet, 'hourly', { how: 'hold' });
    const watched = watchLeft(fleet, 4);
    const first = fleet.command([...COMMAND, '--concurrency', '8']);
    for (const chain of chains) await ran(fleet, chain);
    first.process.kill('SIGKILL');
    await first.ended;
    await fleet.release();
    await fleet.worker({ tasks: CHAINS, threads: 2, ...SOON });
    for (const chain of chains) {
      const runs = await ran(fleet, chain, 2);
      expect(new Set(runs.map(({ dueMs }) => dueMs)).size).toBe(1);
      expect(await scheduled(fleet, chain)).toBe(runs[0]!.dueMs + HOUR);
    }
    await watched();
    expect(await runsOf(fleet)).toHaveLength(8);
    await endAll(fleet, chains);
  });

  test('again and again is neither severed nor doubled', async () => {
    const fleet = await openFleet(url());
    const chains = await addEachWay(fleet, 'tick', { how: 'pause', ms: 10 });
    const watched = watchLeft(fleet, 4);
    const goesOn = async () => {
      const before = new Map(
        await Promise.all(chains.map(async ({ key }) => [key, (await runsOf(fleet, key)).length] as const)),
      );
      for (const chain of chains) await ran(fleet, chain, before.get(chain.key)! + 2);
    };
    let current = fleet.command(COMMAND);
    for (let kills = 0; kills < 2; kills++) {
      await goesOn();
      const next = fleet.command(COMMAND);
      await next.ready();
      current.process.kill('SIGKILL');
      await current.ended;
      current = next;
    }
    await goesOn();
    await watched();
    await endAll(fleet, chains);
    // A kill may cost a run its outcome, so that it runs again; nothing else runs twice.
    for (const { key } of chains) {
      const dues = (await runsOf(fleet, key)).map(({ dueMs }) => dueMs);
      expect(dues).toEqual([...dues].sort((a, b) => a - b));
      expect(dues.length - new Set(dues).size).toBeLessThanOrEqual(2);
    }
    current.process.kill('SIGTERM');
    expect(await current.ended).toEqual({ code: 0, signal: null });
  });
});
