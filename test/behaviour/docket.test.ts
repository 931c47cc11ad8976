import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { inspect } from 'node:util';
import {
  AddUnconfirmedError,
  call,
  Docket,
  DocketClosedError,
  InvalidOptionError,
  PartialAddError,
  task,
} from 'docket';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runModule } from '../support/child.js';
import { clientList, killClients, loseAnswers, subscriptions } from '../support/clients.js';
import { holdingProxy } from '../support/proxy.js';
import { setStage } from '../support/stage.js';
import { stoppingProxy } from '../support/stopping-proxy.js';
import { describeEachServer, describeOnOwnRedis, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const note = task('note', (_args: { n?: number }) => {});

describe('the options of a docket', () => {
  test.each([
    [{ name: '' }, 'name'],
    [{ name: 'a b' }, 'name'],
    [{ name: 'a{b}' }, 'name'],
    [{ name: 'x'.repeat(129) }, 'name'],
    [{ url: 'http://localhost' }, 'url'],
    [{ url: 'redis://localhost:99999' }, 'url'],
    [{ url: 'redis://localhost/first' }, 'url'],
    [{ executionTtl: -1 }, 'executionTtl'],
    [{ executionTtl: '15' as never }, 'executionTtl'],
    [{ executionTtl: Number.NaN }, 'executionTtl'],
    [{ heartbeatInterval: 0 }, 'heartbeatInterval'],
    [{ missedHeartbeats: 0 }, 'missedHeartbeats'],
    [{ missedHeartbeats: 1.5 }, 'missedHeartbeats'],
    [{ maxPayloadBytes: 0 }, 'maxPayloadBytes'],
    [{ maxPayloadBytes: 512 * 1024 * 1024 }, 'maxPayloadBytes'],
  ])('are refused at once when they cannot be used: %o', (options, option) => {
    expect(() => new Docket(options)).toThrow(InvalidOptionError);
    expect(() => new Docket(options)).toThrow(expect.objectContaining({ option }));
  });

  test('have defaults', async () => {
    await using docket = new Docket();
    expect(docket.name).toBe('docket');
  });

  test('take the URL from the environment when none is given', () => {
    const before = process.env.DOCKET_URL;
    try {
      process.env.DOCKET_URL = 'gopher://app:s3cret@localhost';
      expect(() => new Docket()).toThrow("'gopher://app:***@localhost': unknown scheme");
      expect(() => new Docket({ url: 'memory://' })).not.toThrow();
    } finally {
      if (before === undefined) delete process.env.DOCKET_URL;
      else process.env.DOCKET_URL = before;
    }
  });

  test.each([
    'redis://app:s3cret@localhost:port',
    'redis://app:s3cret@localhost/first',
    'http://app:s3cret@localhost',
    'redis://app:s3cret@local host',
    'redis+cluster://app:s3cret@localhost/1',
    'redis://:s3cret@@localhost#',
    'app:s3cret@localhost',
  ])('never show a password in an error: %s', (url) => {
    const error = thrownBy(() => new Docket({ url }));
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('s3cret');
  });
});

describe('a server that cannot be reached', () => {
  test('is reported quickly, without the password, by each call, until it is there', async () => {
    const port = await closedPort();
    await using docket = new Docket({ name: 'x', url: `redis://app:s3cret@127.0.0.1:${port}` });
    const calls = [
      () => docket.add(note),
      () => docket.addMany([call(note), call(note, {}, { key: 'k' })]),
      () => docket.getExecution('k'),
    ];
    for (const attempt of [...calls, ...calls]) {
      const began = performance.now();
      const error = await attempt().catch((e: unknown) => e);
      expect(error).toMatchObject({ code: 'DOCKET_REDIS_UNAVAILABLE' });
      expect((error as Error).message).toContain(`redis://app:***@127.0.0.1:${port}`);
      expect(inspect(error, { depth: 9 })).not.toContain('s3cret');
      expect(performance.now() - began).toBeLessThan(15_000);
    }
  });

  test('fails every add that was made meanwhile, and leaves none pending', async () => {
    await using docket = new Docket({ name: 'x', url: `redis://127.0.0.1:${await closedPort()}` });
    const adds = await Promise.allSettled(Array.from({ length: 600 }, () => docket.add(note)));
    const codes = new Set(adds.map((add) => (add as { reason?: { code: string } }).reason?.code));
    expect([...codes]).toEqual(['DOCKET_REDIS_UNAVAILABLE']);
  });

  test('does not keep the docket from being closed', async () => {
    const docket = new Docket({ name: 'x', url: `redis://127.0.0.1:${await closedPort()}` });
    const adding = docket.add(note).catch((error: unknown) => error);
    await docket.close();
    expect(await adding).toMatchObject({ code: 'DOCKET_REDIS_UNAVAILABLE' });
  });
});

describeEachServer('a docket whose connection was ended by its user', (url) => {
  const stage = setStage(url);

  test('says that it cannot be used', async () => {
    const docket = stage.docket();
    const redis = await docket.redis;
    redis.disconnect();
    await once(redis, 'end');
    await expect(docket.add(note)).rejects.toThrow('the link is down');
  });
});

describeEachServer('closing a docket', (url) => {
  const stage = setStage(url);

  test('sends what was added before', async () => {
    const docket = stage.docket();
    const adding = Promise.all([
      ...Array.from({ length: 600 }, (_, n) => docket.add(note, { n })),
      docket.add(note, {}, { when: '1h' }),
    ]);
    await docket.close();
    expect(await adding).toHaveLength(601);
    expect(await (await stage.redis()).xlen(stage.key('work'))).toBe(600);
  });

  test('sends a batch that was added before', async () => {
    const docket = stage.docket();
    const adding = docket.addMany(Array.from({ length: 1_000 }, (_, n) => call(note, { n })));
    await docket.close();
    expect(await adding).toHaveLength(1_000);
  });

  test('spoils no add whose key is taken', async () => {
    const docket = stage.docket();
    await docket.add(note, {}, { key: 'k' });
    const adding = Promise.all([docket.add(note, {}, { key: 'k' }), docket.addMany([call(note, {}, { key: 'k' })])]);
    await docket.close();
    const [one, [other]] = await adding;
    expect([one.disposition, other?.disposition]).toEqual(['already_scheduled', 'already_scheduled']);
  });

  test('is idempotent, and each call waits until it is closed', async () => {
    const docket = stage.docket();
    await docket.add(note);
    const order: string[] = [];
    const adding = docket.add(note).then(() => order.push('added'));
    const closing = [1, 2].map(() => docket.close().then(() => order.push('closed')));
    await Promise.all([adding, ...closing]);
    expect(order).toEqual(['added', 'closed', 'closed']);
    await docket.close();
  });

  test('makes every further use fail', async () => {
    const docket = stage.docket();
    const execution = await docket.add(note);
    await docket.close();
    const uses = [
      () => docket.add(note),
      () => docket.addMany([call(note)]),
      () => docket.getExecution('k'),
      () => execution.result(),
      () => execution.sync(),
    ];
    for (const use of uses) {
      const error = await use().catch((e: unknown) => e);
      expect(error).toBeInstanceOf(DocketClosedError);
      expect(error).toMatchObject({ code: 'DOCKET_CLOSED' });
    }
  });

  test('settles each read on its way: answered, or rejected because the docket is closed', async () => {
    const outcomes = new Set<unknown>();
    for (let round = 0; round < 10; round++) {
      const docket = stage.docket();
      const execution = await docket.add(note);
      const reads = Array.from({ length: 30 }, (_, i) => {
        return i % 2 ? docket.getExecution(execution.key) : execution.sync();
      });
      const settled = Promise.allSettled(reads);
      if (round === 9) await reads[0];
      else for (let turn = 0; turn < round; turn++) await (turn < 5 ? null : new Promise(setImmediate));
      await docket.close();
      for (const read of await settled)
        outcomes.add(read.status === 'fulfilled' ? 'answered' : read.reason.constructor);
    }
    expect(outcomes).toContain('answered'); // in the last round at least
    outcomes.delete('answered');
    outcomes.delete(DocketClosedError);
    expect(outcomes).toEqual(new Set());
  });

  test.each([true, false])(
    'ends an add whose arguments are still validated (connected before: %s)',
    async (connected) => {
      const docket = stage.docket();
      if (connected) await docket.add(note);
      const validated = deferred();
      const validate = async (value: unknown) => {
        await validated.promise;
        return { value };
      };
      const checked = task('checked', { input: { '~standard': { version: 1, vendor: 'x', validate } } }, () => {});
      const adding = [
        docket.add(checked, {}),
        docket.addMany([call(checked, {})]),
        docket.replace(checked, {}, { key: 'k' }),
      ];
      const told = adding.map((add) => expect(add).rejects.toThrow(DocketClosedError));
      await docket.close();
      validated.resolve();
      await Promise.all(told);
      expect(await (await stage.redis()).xlen(stage.key('work'))).toBe(connected ? 1 : 0);
    },
  );

  test('happens at the end of an await using block', async () => {
    let used: Docket | undefined;
    {
      await using docket = new Docket({ name: stage.name, url: stage.url });
      used = docket;
      await docket.add(note);
    }
    await expect(used.add(note)).rejects.toThrow(DocketClosedError);
  });

  test('that was never used opens no connection', async () => {
    await expect(new Docket({ url: 'unix:///nowhere/redis.sock' }).close()).resolves.toBeUndefined();
  });

  test('leaves other dockets connected', async () => {
    const [docket, other] = [stage.docket(), stage.docket()];
    await Promise.all([docket.add(note), other.add(note)]);
    await docket.close();
    expect((await other.add(note)).disposition).toBe('scheduled');
  });
});

describe.each([
  ['uses it', ''],
  ['has waited for a result', `await execution.result({ timeout: 50 }).catch(() => {});`],
  ['still waits for a result', `execution.result().catch(({ code }) => console.log(code));`],
])('a process that %s', (how, code) => {
  test('exits by itself once its docket is closed', async () => {
    const ended = await runModule(`
      import { Docket, task } from 'docket';
      const docket = new Docket({ url: 'memory://' });
      const execution = await docket.add(task('note', () => {}));
      ${code}
      await docket.close();
      console.log('closed');
    `);
    const told = how === 'still waits for a result' ? 'DOCKET_CLOSED\n' : '';
    expect(ended).toEqual({ code: 0, signal: null, stdout: `${told}closed\n`, stderr: '' });
  });
});

test('a process exits by itself at whatever moment its dockets are closed', async () => {
  const ended = await runModule(`
    import { Docket, task } from 'docket';
    const note = task('note', () => {});
    for (let i = 0; i < 60; i++) {
      const docket = new Docket({ url: 'memory://' });
      const execution = await docket.add(note);
      const result = execution.result().catch(({ code }) => code);
      for (let turn = 0; turn < i; turn++) await new Promise(setImmediate);
      await docket.close();
      if ((await result) !== 'DOCKET_CLOSED') throw new Error(await result);
    }
  `);
  expect(ended).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
});

describeOnRedis('a docket', (url) => {
  const stage = setStage(url);

  test('opens one connection for all its adds', async () => {
    const docket = stage.docket();
    await Promise.all(Array.from({ length: 100 }, () => docket.add(note)));
    const redis = await stage.redis();
    // Docket's other connections have other roles; those of other dockets may still be closing.
    const ours = async () => (await clientList(redis)).split(`name=docket:producer:${stage.name} `).length - 1;
    expect(await ours()).toBe(1);
    await docket.close();
    await expect.poll(ours).toBe(0);
  });

  test('with many calls that wait for its connection to come back raises no warning', async () => {
    const warnings: Error[] = [];
    const listen = (warning: Error) => void warnings.push(warning);
    process.on('warning', listen);
    onTestFinished(() => void process.off('warning', listen));
    const docket = stage.docket();
    const execution = await docket.add(note);
    const connection = await docket.redis;
    const closed = once(connection, 'close');
    await killClients(await stage.redis(), 'normal');
    await closed;
    await Promise.all(Array.from({ length: 30 }, () => execution.sync()));
    await new Promise(setImmediate); // warnings are emitted in a turn of their own
    expect(warnings).toEqual([]);
  });

  test('reports adds whose connection breaks before the answer, with their keys', async () => {
    const docket = stage.docket();
    await docket.add(note);
    let adding: Promise<unknown> | undefined;
    await loseAnswers(await stage.redis(), () => {
      adding = docket.add(note, {}, { key: 'k' }).catch((e: unknown) => e);
    });
    const error = await adding;
    expect(error).toBeInstanceOf(AddUnconfirmedError);
    expect(error).toMatchObject({ code: 'DOCKET_ADD_UNCONFIRMED', message: expect.stringContaining("'k'") });
    await docket.add(note, {}, { key: 'k' }); // changes nothing while the first is unfinished
    expect(await (await stage.redis()).xlen(stage.key('work'))).toBe(2);
  });

  test.each([
    ['with a key', { key: 'k' }],
    ['without one', {}],
  ])(
    'an add %s that was not confirmed, but ran and ended, does not run again when it is repeated once',
    async (_, options) => {
      let runs = 0;
      const count = task('count', () => ++runs);
      const way = await stoppingProxy(new URL(stage.url).pathname);
      const docket = stage.docket({ url: way.url });
      await docket.add(note);
      way.hold('producer');
      const adding = docket.add(count, {}, options).catch((e: unknown) => e);
      const redis = await stage.redis();
      await waitFor(async () => (await redis.xlen(stage.key('work'))) === 2);
      way.cut();
      const { key, message } = (await adding) as AddUnconfirmedError;
      expect(message).toContain('once: true');
      await stage.finish({ note, count });
      const again = await docket.add(count, {}, { key, once: true });
      expect(again).toMatchObject({ disposition: 'already_scheduled', state: 'completed' });
      expect(await again.result()).toBe(1);
      await stage.finish({ note, count });
      expect(runs).toBe(1);
    },
  );

  test('reports a batch whose connection breaks before the answer, with all its keys', async () => {
    const docket = stage.docket();
    await docket.add(note);
    const calls = Array.from({ length: 300 }, (_, n) => call(note, { n }, { key: `k${n}` }));
    let adding: Promise<unknown> | undefined;
    await loseAnswers(await stage.redis(), () => {
      adding = docket.addMany(calls).catch((e: unknown) => e);
    });
    const error = (await adding) as PartialAddError;
    expect(error).toBeInstanceOf(PartialAddError);
    expect(error.unconfirmed).toEqual(calls.map((c) => c.options!.key));
    expect(error.unwritten).toEqual([]);
    expect(error.executions).toEqual(calls.map(() => null));
    expect(error.cause).toBeInstanceOf(AddUnconfirmedError);
  });

  test('that is closed while its subscriptions are restored leaves no rejection unhandled', async () => {
    const unhandled: unknown[] = [];
    const listen = (error: unknown) => void unhandled.push(error);
    process.on('unhandledRejection', listen);
    onTestFinished(() => void process.off('unhandledRejection', listen));
    const redis = await stage.redis();
    const server = await holdingProxy(new URL(stage.url).pathname);
    const docket = stage.docket({ url: server.url });
    const execution = await docket.add(note);
    const told = expect(execution.result()).rejects.toThrow(DocketClosedError);
    await waitFor(async () => (await subscriptions(redis)).join() === '1');
    server.hold();
    await killClients(redis, 'pubsub');
    await server.held;
    await docket.close();
    await told;
    await new Promise(setImmediate);
    expect(unhandled).toEqual([]);
  });

  test('settles every add while its connection is killed again and again', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    await docket.add(note, {}, { key: 'first' });
    const codes = new Map<string, string>();
    const added = () => [...codes.values()].filter((code) => code === 'added').length;
    let isOver = false;
    const producers = Array.from({ length: 50 }, async (_, producer) => {
      for (let n = 0; !isOver; n++) {
        for (let turn = 0; turn < producer; turn++) await new Promise(setImmediate);
        const key = `k${producer}-${n}`;
        const adding = docket.add(note, {}, { key }).then(() => 'added');
        codes.set(key, await adding.catch((error: { code: string }) => error.code));
      }
    });
    for (let kills = 0; kills < 20; kills++) {
      const before = added();
      await waitFor(() => added() > before); // the link is back
      for (let turn = 0; turn < kills; turn++) await new Promise(setImmediate);
      await killClients(redis, 'normal');
    }
    isOver = true;
    await Promise.all(producers);
    const unsent = 'DOCKET_REDIS_UNAVAILABLE'; // not met in every run
    const seen = new Set(codes.values()).add(unsent);
    expect([...seen].sort()).toEqual(['DOCKET_ADD_UNCONFIRMED', unsent, 'added']);
    for (const [key, code] of codes) {
      if (code === 'DOCKET_ADD_UNCONFIRMED') continue;
      const isWritten = (await redis.exists(stage.key(`run:${key}`))) === 1;
      expect(isWritten, `${key}: ${code}`).toBe(code === 'added'); // an add that was not sent says so, and was not written
    }
    expect(await docket.add(note, {}, { key: 'first' })).toMatchObject({ disposition: 'already_scheduled' });
  });
});

describeOnOwnRedis('a docket whose server has no memory left', (redis) => {
  const stage = setStage(() => redis().url);

  test('reports refused writes at once, while completions still go through', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const [started, ending] = [deferred(), deferred()];
    const hold = task('hold', async () => {
      started.resolve();
      await ending.promise;
      return 'done';
    });
    stage.work({ hold });
    const execution = await docket.add(hold);
    const result = execution.result();
    await started.promise;
    await redis.config('SET', 'maxmemory', 1);
    for (const options of [{}, { key: 'k' }, { when: '1h' }] as const) {
      const error = await docket.add(note, {}, options).catch((e: unknown) => e);
      expect(error).toMatchObject({ code: 'DOCKET_REDIS_UNAVAILABLE', message: expect.stringContaining('OOM') });
    }
    const batch = docket.addMany([call(note), call(note, {}, { key: 'k' })]);
    await expect(batch).rejects.toMatchObject({ code: 'DOCKET_REDIS_UNAVAILABLE' });
    expect(await redis.xlen(stage.key('work'))).toBe(1); // what runs
    ending.resolve();
    expect(await result).toBe('done');
    expect(await redis.xlen(stage.key('work'))).toBe(0);
    expect((await stage.docket().getExecution(execution.key))?.state).toBe('completed');
    await expect(stage.docket().add(note)).rejects.toMatchObject({ code: 'DOCKET_REDIS_UNAVAILABLE' });
  });
});

function thrownBy(code: () => unknown): unknown {
  try {
    return code();
  } catch (error) {
    return error;
  }
}

/** A port on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
