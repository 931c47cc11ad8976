import {
  call,
  cooldown,
  type Execution,
  ExecutionCancelledError,
  InvalidOptionError,
  perpetual,
  type StrikeValue,
  task,
} from 'docket';
import { describe, expect, test } from 'vitest';
import { killClients, subscriptions } from '../support/clients.js';
import { openFleet } from '../support/fleet.js';
import { monitor } from '../support/monitor.js';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnAnyServer, describeOnOwnRedis, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

interface Order {
  readonly orderId?: number;
  readonly customer?: string;
}

const charge = task('charge', (_args: Order) => 'charged');
const refund = task('refund', (_args: Order) => 'refunded');

describeEachServer('strikes:', (url) => {
  const stage = setStage(url);

  test('are listed as they were made, so that each can be restored', async () => {
    const docket = stage.docket();
    expect(await docket.strikes()).toEqual([]);
    const at = new Date(5);
    await docket.strike('charge');
    await docket.strike(null, 'orderId', 'between', [1n, 2n ** 70n]);
    await docket.strike('charge', 'at', '<', at);
    const strikes = await docket.strikes();
    const since = expect.any(Date);
    expect(strikes).toEqual([
      {
        task: 'charge',
        parameter: 'at',
        operator: '<',
        value: at,
        description: expect.stringContaining('at <'),
        since,
      },
      { task: 'charge', parameter: null, operator: null, description: "task 'charge'", since },
      {
        ...{ task: null, parameter: 'orderId', operator: 'between', value: [1, 2n ** 70n] },
        description: expect.any(String),
        since,
      },
    ]);
    for (const { task, parameter, operator, value } of strikes) {
      expect(await docket.restore(task, parameter, operator ?? undefined, value)).toBe(true);
    }
    expect(await docket.strikes()).toEqual([]);
  });

  describe('in an add,', () => {
    test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
      'a struck call writes nothing: %o',
      async (options) => {
        const docket = stage.docket(options);
        await docket.strike(charge);
        const execution = await docket.add(charge, { orderId: 1 }, { key: 'k' });
        expect(execution).toMatchObject({
          key: 'k',
          task: 'charge',
          args: { orderId: 1 },
          disposition: 'struck',
          state: 'cancelled',
          error: "struck: task 'charge'",
        });
        await expect(execution.result()).rejects.toThrow(ExecutionCancelledError);
        await expect(execution.result()).rejects.toThrow("execution 'k' was cancelled: struck: task 'charge'");
        await execution.sync();
        await execution.cancel();
        expect(await docket.getExecution('k')).toBeNull();
        await docket.add(charge, {}, { when: '1h' });
        await docket.add(charge);
        expect((await stage.keys()).filter((key) => key !== 'strikes' && key !== 'generation')).toEqual([]);
      },
    );

    test('what is restored is taken again at once, from any producer', async () => {
      const [one, other] = [stage.docket(), stage.docket({ executionTtl: 0 })];
      await one.strike(charge, 'customer', '==', 'c');
      expect((await other.add(charge, { customer: 'c' })).disposition).toBe('struck');
      expect((await one.add(charge, { customer: 'c' })).disposition).toBe('struck');
      expect(await other.restore(charge, 'customer', '==', 'c')).toBe(true);
      expect(await other.restore(charge, 'customer', '==', 'c')).toBe(false);
      expect((await one.add(charge, { customer: 'c' })).disposition).toBe('scheduled');
      expect((await other.add(charge, { customer: 'c' })).disposition).toBe('scheduled');
      await stage.finish({ charge });
    });

    test('a producer that has added before writes nothing that was struck meanwhile', async () => {
      const [operator, ...producers] = [stage.docket(), stage.docket(), stage.docket({ executionTtl: 0 })];
      await Promise.all(producers.map((producer) => producer.add(charge, { orderId: 1 })));
      for (let i = 2; i < 20; i++) {
        await operator!.strike(charge, 'orderId', '==', i);
        const adds = producers.map((producer) => producer.add(charge, { orderId: i }));
        expect((await Promise.all(adds)).map(({ disposition }) => disposition)).toEqual(['struck', 'struck']);
      }
      await stage.finish({ charge });
    });

    test('only the struck calls of a batch are left out', async () => {
      const docket = stage.docket();
      await docket.strike(null, 'orderId', 'between', [10, 19]);
      await docket.strike(refund, 'customer', '!=', 'c');
      const calls = [
        call(charge, { orderId: 9 }, { key: 'a' }),
        call(charge, { orderId: 10 }, { key: 'b' }),
        call(refund, { orderId: 20, customer: 'd' }, { key: 'c' }),
        call(refund, { orderId: 20, customer: 'c' }, { key: 'd' }),
      ];
      for (const expected of ['scheduled', 'already_scheduled']) {
        const executions = await docket.addMany(calls);
        expect(executions.map(({ disposition }) => disposition)).toEqual([expected, 'struck', 'struck', expected]);
        expect(executions.map(({ key }) => key)).toEqual(['a', 'b', 'c', 'd']);
      }
      const added = await Promise.all(Array.from({ length: 30 }, (_, orderId) => docket.add(charge, { orderId })));
      expect(added.filter(({ disposition }) => disposition === 'struck').map(({ args }) => args)).toEqual(
        Array.from({ length: 10 }, (_, i) => ({ orderId: 10 + i })),
      );
      const several = await docket.addMany(Array.from({ length: 30 }, (_, orderId) => call(charge, { orderId })));
      expect(several.filter(({ disposition }) => disposition === 'struck')).toHaveLength(10);
      await stage.finish({ charge, refund });
      await Promise.all(several.map((one) => one.result().catch(() => undefined)));
    });

    test('replacing by a struck call leaves what is there', async () => {
      const docket = stage.docket();
      const first = await docket.add(charge, { orderId: 1 }, { key: 'k' });
      await docket.strike(charge, 'orderId', '>', 1);
      expect((await docket.replace(charge, { orderId: 2 }, { key: 'k' })).disposition).toBe('struck');
      expect((await docket.replace(charge, { orderId: 1 }, { key: 'k2' })).disposition).toBe('scheduled');
      await stage.finish({ charge });
      expect(await first.result()).toBe('charged');
    });

    test('cancelling the handle of a struck add leaves the execution that has the key', async () => {
      const docket = stage.docket();
      const first = await docket.add(charge, { orderId: 1 }, { key: 'k' });
      await docket.strike(charge, 'orderId', '==', 2);
      const struck = await docket.add(charge, { orderId: 2 }, { key: 'k' });
      await struck.cancel();
      await struck.sync();
      expect(struck.state).toBe('cancelled');
      await stage.finish({ charge });
      expect(await first.result()).toBe('charged');
    });

    test('what cannot be struck is refused before anything is written', async () => {
      const docket = stage.docket();
      await expect(docket.strike()).rejects.toThrow(InvalidOptionError);
      await expect(docket.strike(charge, 'orderId', '==')).rejects.toThrow(InvalidOptionError);
      await expect(docket.restore(null, 'x', 'between', 1)).rejects.toThrow(InvalidOptionError);
      expect(await stage.keys()).toEqual([]);
    });

    test('values of every kind keep their kind on their way through Redis', async () => {
      const docket = stage.docket();
      const any = task('any', (_args: { x: unknown }) => {});
      const pairs: [struck: StrikeValue, other: StrikeValue][] = [
        ['1', '01'],
        [1, 1.5],
        [10n ** 30n, 10n ** 30n + 1n],
        [true, false],
        [null, 'null'],
        [new Date(1_000), new Date(1_001)],
        [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
        ['{"date":1}', '{"date":2}'],
        ['ä\0"', 'ä\0'],
      ];
      for (const [struck, other] of pairs) {
        await docket.strike(null, 'x', '==', struck);
        const calls = [call(any, { x: struck }), call(any, { x: other })];
        const dispositions = (await stage.docket().addMany(calls)).map(({ disposition }) => disposition);
        expect([struck, ...dispositions]).toEqual([struck, 'struck', 'scheduled']);
        await docket.restore(null, 'x', '==', struck);
      }
      await stage.finish({ any });
    });
  });

  describe('in a worker,', () => {
    test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
      'what was added before is cancelled when it is read: %o',
      async (options) => {
        const ran: number[] = [];
        const note = task('note', ({ n }: { n: number }) => void ran.push(n));
        const docket = stage.docket(options);
        const executions = await docket.addMany([
          ...[1, 2, 3].map((n) => call(note, { n })),
          ...[4, 5, 6].map((n) => call(note, { n }, { key: `k${n}` })),
          ...[7, 8, 9].map((n) => call(note, { n }, { when: 50 })),
        ]);
        await docket.strike(null, 'n', 'between', [2, 5]);
        await docket.strike(note, 'n', '==', 9);
        await stage.finish({ note }); // started later than the strike
        expect(ran.sort()).toEqual([1, 6, 7, 8]);
        if (options.executionTtl === 0) return;
        const states = await Promise.all(executions.map((one) => one.sync().then(() => one.state)));
        expect(states).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => (ran.includes(n) ? 'completed' : 'cancelled')));
        expect(executions[1]!.error).toBe('struck: n between 2 and 5');
        await expect(executions[8]!.result()).rejects.toThrow("was cancelled: struck: task 'note' with n == 9");
      },
    );

    test('waiting for what is struck later is rejected', async () => {
      const docket = stage.docket();
      const execution = await docket.add(charge, {}, { when: 300 });
      const result = execution.result({ timeout: '20s' });
      result.catch(() => {});
      stage.work({ charge });
      await docket.strike('charge');
      await expect(result).rejects.toThrow(ExecutionCancelledError);
    });

    test('a key is free again when its execution was struck', async () => {
      const docket = stage.docket();
      await docket.add(charge, { orderId: 1 }, { key: 'k' });
      await docket.strike('charge');
      await stage.finish({ charge });
      await docket.restore('charge');
      const again = await docket.add(charge, { orderId: 1 }, { key: 'k' });
      expect(again.disposition).toBe('scheduled');
      await stage.finish({ charge });
      expect(await again.result()).toBe('charged');
    });

    test('what runs goes on, and what has not started does not start', async () => {
      const [running, going] = [deferred(), deferred()];
      const ran: number[] = [];
      const hold = task('hold', async ({ n }: { n: number }) => {
        ran.push(n);
        running.resolve();
        await going.promise;
        return n;
      });
      const docket = stage.docket();
      const executions = await docket.addMany([1, 2, 3].map((n) => call(hold, { n })));
      stage.work({ hold }, { concurrency: 1 });
      await running.promise;
      await docket.strike(hold);
      going.resolve();
      expect(await executions[0]!.result()).toBe(1);
      await expect(executions[1]!.result()).rejects.toThrow(/struck/);
      await expect(executions[2]!.result()).rejects.toThrow(/struck/);
      expect(ran).toEqual([1]);
    });

    test('limits do not count what is struck, nor fail it for a missing argument', async () => {
      const once = task(
        'once',
        { limits: [cooldown('user', { window: '1m' })] },
        (_args: { user?: string; n?: number }) => {},
      );
      const docket = stage.docket();
      const [struck, bare] = await docket.addMany([call(once, { user: 'u', n: 1 }), call(once, { n: 1 })] as never);
      const passed = await docket.add(once, { user: 'u', n: 2 });
      await docket.strike(null, 'n', '==', 1);
      await stage.finish({ once });
      await Promise.all([struck!, bare!, passed].map((one) => one.sync()));
      expect([struck!.state, bare!.state, passed.state]).toEqual(['cancelled', 'cancelled', 'completed']);
    });

    test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
      'a struck perpetual task skips its runs, and goes on when it is restored: %o',
      async (options) => {
        let runs = 0;
        const tick = task('tick', { perpetual: perpetual({ every: '20ms' }) }, () => void runs++);
        const docket = stage.docket(options);
        await docket.add(tick, {}, { key: 'tick' });
        stage.work({ tick });
        await waitFor(() => runs >= 2);
        await docket.strike(tick);
        const redis = await stage.redis();
        const dueMs = async () => Number((await redis.zrange(stage.key('schedule'), '0', '0', 'WITHSCORES'))[1] ?? 0);
        const nowMs = async () => Number((await redis.time())[0]) * 1_000;
        await waitFor(async () => (await dueMs()) > (await nowMs()) + 200); // a second from when it was skipped
        const before = runs;
        const skipped = await dueMs();
        await waitFor(async () => (await dueMs()) > skipped);
        expect(runs).toBe(before);
        await docket.restore(tick);
        await waitFor(() => runs > before + 1);
        await docket.cancel('tick');
        await waitFor(async () => (await redis.exists(stage.key('schedule'))) === 0);
      },
    );

    test('a task can strike, too', async () => {
      const breaker = task('breaker', async (_args: {}, ctx) => {
        await ctx.docket.strike(charge);
        return (await ctx.docket.add(charge)).disposition;
      });
      const docket = stage.docket();
      const execution = await docket.add(breaker);
      await stage.finish({ breaker, charge });
      expect(await execution.result()).toBe('struck');
      expect((await docket.add(charge)).disposition).toBe('struck');
    });
  });

  test('ten thousand strikes and restores leave what is still struck', async () => {
    const docket = stage.docket();
    const count = url().startsWith('memory:') ? 2_000 : 10_000; // the embedded server takes half a millisecond each
    await docket.strike(charge);
    const rounds = async (worker: number) => {
      for (let i = worker; i < count; i += 50) {
        await docket.strike(null, 'customer', '==', `c-${i}`);
        await docket.restore(null, 'customer', '==', `c-${i}`);
      }
    };
    await Promise.all(Array.from({ length: 50 }, (_, worker) => rounds(worker)));
    await Promise.all(Array.from({ length: 100 }, () => docket.strike(charge)));
    const redis = await stage.redis();
    expect(Object.keys(await redis.hgetall(stage.key('strikes'))).sort()).toEqual(['["charge"]', 'version']);
    expect(await stage.keys()).toEqual(['generation', 'strikes']);
    expect((await docket.add(charge)).disposition).toBe('struck');
    expect((await docket.add(refund, { customer: 'c-7' })).disposition).toBe('scheduled');
    await stage.finish({ refund });
  });

  test('producers come to an end while strikes change all the time', async () => {
    const [docket, operator] = [stage.docket(), stage.docket()];
    let isOver = false;
    const changing = (async () => {
      for (let i = 0; !isOver; i++) {
        await operator.strike(null, 'customer', '==', String(i % 5));
        await operator.restore(null, 'customer', '==', String(i % 5));
      }
    })();
    for (let i = 0; i < 100; i++) expect((await docket.add(charge, { orderId: i })).disposition).toBe('scheduled');
    isOver = true;
    await changing;
    await stage.finish({ charge });
  });
});

describeOnRedis('strikes:', (url) => {
  const stage = setStage(url);

  test('workers agree by push: none sends a command until something changes', async () => {
    const docket = stage.docket();
    const ran: string[] = [];
    const workers = ['a', 'b', 'c'].map((name) => {
      const note = task(`note-${name}`, ({ n }: { n: number }) => void ran.push(`${name} ${n}`));
      return { name: `note-${name}`, note };
    });
    for (const { note } of workers) stage.work({ [note.name]: note }, { minimumCheckInterval: '5s' });
    await Promise.all(workers.map(async ({ note }) => (await docket.add(note, { n: 0 })).result()));
    const asked: string[] = [];
    const stop = await monitor(stage.url, ({ args, isOfScript }) => {
      if (!isOfScript && args.includes(stage.key('strikes'))) asked.push(args[0]!.toLowerCase());
    });
    const executions = await docket.addMany(workers.map(({ note }) => call(note, { n: 1 }, { when: 500 })) as never);
    await docket.strike(null, 'n', '==', 1);
    for (const execution of executions as { result(): Promise<unknown> }[]) {
      await expect(execution.result()).rejects.toThrow(/struck/);
    }
    stop();
    // The adds and the strike name the list; nobody loads it: what changed came with the push.
    expect(asked.filter((command) => command !== 'evalsha' && command !== 'eval')).toEqual([]);
    expect(asked.length).toBeGreaterThan(0);
    expect(ran.sort()).toEqual(['a 0', 'b 0', 'c 0']);
  });

  test('a producer opens no connection and sends no command for strikes while nothing is struck', async () => {
    const docket = stage.docket();
    await docket.add(charge);
    const redis = await stage.redis();
    await expect.poll(() => subscriptions(redis)).toEqual([]);
    await redis.config('RESETSTAT');
    await Promise.all(Array.from({ length: 500 }, () => docket.add(charge)));
    const stats = String(await redis.info('commandstats'));
    const count = (command: string) => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
    expect([count('hgetall'), count('subscribe')]).toEqual([0, 0]);
    expect(count('hget')).toBe(count('evalsha')); // one look for a batch
    await stage.finish({ charge });
  });

  test('a change that comes while the link is down is not missed', async () => {
    const docket = stage.docket();
    const ran: number[] = [];
    const note = task('note', ({ n }: { n: number }) => void ran.push(n));
    stage.work({ note });
    await (await docket.add(note, { n: 0 })).result();
    const redis = await stage.redis();
    await docket.addMany([1, 2, 3].map((n) => call(note, { n }, { when: 1_500 })));
    await docket.strike(note, 'n', '==', 3);
    // In one turn of the server, so that no follower hears of it: its link is gone and not back yet.
    const strike = docket.strike(note, 'n', '==', 1);
    await killClients(redis, 'pubsub');
    await strike;
    await killClients(redis, 'pubsub');
    await docket.strike(note, 'n', '==', 2);
    await docket.restore(note, 'n', '==', 3);
    const last = await docket.add(note, { n: 4 }, { when: 1_600 });
    await last.result();
    expect(ran.sort()).toEqual([0, 3, 4]);
  });
});

describeOnOwnRedis('on a server that refuses writes or channels,', (redis) => {
  const stage = setStage(() => redis().url);

  test('a strike takes effect when the memory of the server is full', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    stage.work({ charge });
    await (await docket.add(charge)).result();
    const execution = await docket.add(charge, {}, { when: 500 });
    await redis.config('SET', 'maxmemory', '1');
    await docket.strike(charge);
    await waitFor(() => execution.sync().then(() => execution.state === 'cancelled'));
    await redis.config('SET', 'maxmemory', '0');
    expect((await docket.add(charge)).disposition).toBe('struck');
  });

  test('a strike that cannot be published is refused, and nothing is written', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    await docket.add(charge);
    await redis.call('ACL', 'SETUSER', 'default', 'resetchannels');
    await expect(docket.strike(charge)).rejects.toThrow(/NOPERM|channel|permission/i);
    expect(await stage.keys()).not.toContain('strikes');
    await redis.call('ACL', 'SETUSER', 'default', 'allchannels');
    await stage.finish({ charge });
  });
});

describeOnAnyServer('a strike', (url) => {
  test('revokes what is shipped to a busy thread and has not started', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 1 });
    const { probe } = fleet;
    // So short, as far as the worker knows, that they are shipped ahead of their turn.
    await Promise.all((await fleet.docket.addMany(counted(fleet.probe, 200, 'warm'))).map((one) => one.result()));
    const held = await fleet.docket.add('hold', { probe }, { key: 'held' });
    await fleet.step('start held 1');
    const behind: Execution<unknown>[] = await fleet.docket.addMany(counted(probe, 50, 'behind'));
    await waitFor(async () =>
      Promise.all(behind.map((one) => one.sync())).then(() => behind.some(({ state }) => state === 'running')),
    );
    await fleet.docket.strike('counted');
    await waitFor(async () => {
      await Promise.all(behind.map((one) => one.sync()));
      return behind.some(({ state }) => state === 'cancelled'); // what is still on the stream comes later
    });
    await held.sync();
    expect(held.state).toBe('running');
    await fleet.release();
    await held.result();
    for (const execution of behind) await expect(execution.result()).rejects.toThrow(/struck: task 'counted'/);
    expect(Object.keys(await fleet.counts()).filter((key) => key.startsWith('behind'))).toEqual([]);
  });
});

describeOnRedis('strikes in several processes:', (url) => {
  test('workers agree, and one that is started later runs nothing struck', async () => {
    const fleet = await openFleet(url());
    const first = [fleet.command(['--threads', '1']), fleet.command(['--threads', '1'])];
    await Promise.all(first.map((command) => command.ready()));
    const later = await fleet.docket.addMany(counted(fleet.probe, 40, 'later', 600));
    await fleet.docket.strike('counted');
    const third = fleet.command(['--threads', '1']);
    await third.ready();
    for (const execution of later) await expect(execution.result()).rejects.toThrow(/struck/);
    expect(await fleet.counts()).toEqual({});
    await fleet.docket.restore('counted');
    await Promise.all((await fleet.docket.addMany(counted(fleet.probe, 10, 'again'))).map((one) => one.result()));
    expect(Object.keys(await fleet.counts())).toHaveLength(10);
    for (const command of [...first, third]) {
      command.process.kill('SIGTERM');
      await command.ended;
    }
  });
});

function counted(probe: object, count: number, name: string, when = 0): never {
  const { counted: of } = { counted: task('counted', (_args: { probe: object }) => {}) };
  return Array.from({ length: count }, (_, i) => call(of, { probe }, { key: `${name}-${i}`, when })) as never;
}
