import {
  DocketClosedError,
  InvalidOptionError,
  RedisUnavailableError,
  StrikeList,
  type StrikeListOptions,
  StrikesNotLoadedError,
  task,
} from 'docket';
import { expect, onTestFinished, test } from 'vitest';
import { runModule } from '../support/child.js';
import { clientList, killClients } from '../support/clients.js';
import { setStage } from '../support/stage.js';
import { stoppingProxy } from '../support/stopping-proxy.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const charge = task('charge', (_args: { orderId?: number }) => {});

function open(options: StrikeListOptions): StrikeList {
  const list = new StrikeList(options);
  onTestFinished(() => list.close());
  return list;
}

test('a list of its own needs no Redis', async () => {
  const list = new StrikeList();
  expect(list.isStricken({ customerId: 'x' })).toBe(false);
  await list.strike(null, 'customerId', '==', 'x');
  await list.strike(charge, 'orderId', '>', 10);
  await list.strike('refund');
  expect(list.isStricken({ customerId: 'x' })).toBe(true);
  expect(list.isStricken({ orderId: 11 })).toBe(false);
  expect(list.isStricken(charge, { orderId: 11 })).toBe(true);
  expect(list.isStricken('charge', { orderId: 10 })).toBe(false);
  expect(list.isStricken('refund')).toBe(true);
  await list.restore('refund');
  await list.restore('refund');
  expect(list.isStricken('refund', {})).toBe(false);
  expect(list.isStricken('refund', { customerId: 'x' })).toBe(true);
  await list.connect(); // to nothing
  await list.close();
});

test('a list of its own takes effect without waiting', () => {
  const list = new StrikeList();
  void list.strike('t');
  expect(list.isStricken('t')).toBe(true);
});

test('a value that cannot be compared is reported once', () => {
  const warnings: string[] = [];
  const list = new StrikeList({ onWarning: (problem) => warnings.push(problem) });
  void list.strike(null, 'rows', '>', 10);
  expect([list.isStricken({ rows: '20' }), list.isStricken({ rows: '30' })]).toEqual([false, false]);
  expect(warnings).toEqual([
    'the strike of rows > 10 did not apply: rows was text, which cannot be compared with a number',
  ]);
});

test('a list refuses what cannot be struck or followed', async () => {
  await expect(new StrikeList().strike()).rejects.toThrow(InvalidOptionError);
  expect(() => new StrikeList({ url: 'http://example.org' })).toThrow(InvalidOptionError);
  expect(() => new StrikeList({ name: 'a b' })).toThrow(InvalidOptionError);
  const nowhere = open({ url: 'redis://127.0.0.1:1' });
  await expect(nowhere.connect()).rejects.toThrow(RedisUnavailableError);
  await expect(nowhere.strike('t')).rejects.toThrow(RedisUnavailableError);
  expect(() => nowhere.isStricken('t')).toThrow(StrikesNotLoadedError);
});

describeEachServer('a list that follows a docket', (url) => {
  const stage = setStage(url);

  test('knows what was struck before, and hears of every change', async () => {
    const docket = stage.docket();
    await docket.strike(null, 'customerId', '==', 'x');
    await using list = new StrikeList({ url: url(), name: stage.name });
    expect(() => list.isStricken({})).toThrow(StrikesNotLoadedError);
    await list.connect();
    await list.connect();
    expect(list.isStricken({ customerId: 'x' })).toBe(true);
    await docket.strike(charge, 'orderId', 'between', [10, 20]);
    await waitFor(() => list.isStricken(charge, { orderId: 20 }));
    await docket.restore(null, 'customerId', '==', 'x');
    await waitFor(() => !list.isStricken({ customerId: 'x' }));
    expect(list.isStricken(charge, { orderId: 10 })).toBe(true);
    await list.close();
    await list.close();
    expect(() => list.isStricken({})).toThrow(DocketClosedError);
    await expect(list.strike('t')).rejects.toThrow(DocketClosedError);
    await expect(list.connect()).rejects.toThrow(DocketClosedError);
  });

  test('strikes for the whole docket', async () => {
    const [one, other] = [open({ url: url(), name: stage.name }), open({ url: url(), name: stage.name })];
    await other.connect();
    await one.strike(charge);
    expect(one.isStricken(charge)).toBe(true);
    await waitFor(() => other.isStricken(charge));
    const docket = stage.docket();
    expect((await docket.add(charge)).disposition).toBe('struck');
    await other.restore(charge);
    expect(other.isStricken(charge)).toBe(false);
    await waitFor(() => !one.isStricken(charge));
    expect((await docket.add(charge, {}, { key: 'k', when: '1h' })).disposition).toBe('scheduled');
  });

  test('agrees with all others while several processes change the docket', async () => {
    const lists = [1, 2, 3].map(() => open({ url: url(), name: stage.name }));
    await Promise.all(lists.map((list) => list.connect()));
    const dockets = [1, 2, 3].map(() => stage.docket());
    const changes = dockets.map(async (docket, i) => {
      for (let n = 0; n < 30; n++) {
        await docket.strike(null, 'n', '==', 100 * i + n);
        if (n % 3 !== 0) await docket.restore(null, 'n', '==', 100 * i + n);
      }
    });
    await Promise.all(changes);
    await stage.docket().strike('over');
    const all = [0, 1, 2].flatMap((i) => Array.from({ length: 30 }, (_, n) => 100 * i + n));
    for (const list of lists) {
      await waitFor(() => list.isStricken('over'));
      expect(all.filter((n) => list.isStricken({ n }))).toEqual(all.filter((n) => (n % 100) % 3 === 0));
    }
  });

  test('leaves nothing open when it is closed while it connects', async () => {
    const list = new StrikeList({ url: url(), name: stage.name });
    const connecting = list.connect();
    connecting.catch(() => {});
    await list.close();
    expect(() => list.isStricken({})).toThrow(DocketClosedError);
  });
});

describeOnRedis('a list that follows a docket', (url) => {
  const stage = setStage(url);

  test('knows its own strike and restore as soon as they have resolved, however late the messages come', async () => {
    const proxy = await stoppingProxy(new URL(url()).pathname);
    const list = open({ url: proxy.url, name: stage.name });
    await list.connect();
    proxy.hold('subscriber');
    await list.strike(charge);
    await list.strike(null, 'n', '==', 1);
    expect([list.isStricken(charge), list.isStricken({ n: 1 })]).toEqual([true, true]);
    expect(await list.restore(charge)).toBe(true);
    expect([list.isStricken(charge), list.isStricken({ n: 1 })]).toEqual([false, true]);
    proxy.release();
    await stage.docket().strike('other');
    await waitFor(() => list.isStricken('other'));
    expect([list.isStricken(charge), list.isStricken({ n: 1 })]).toEqual([false, true]);
  });

  test('misses nothing when its link breaks, and answers meanwhile', async () => {
    const list = open({ url: url(), name: stage.name });
    const docket = stage.docket();
    await docket.strike('old');
    await list.connect();
    const redis = await stage.redis();
    for (let i = 0; i < 5; i++) {
      await killClients(redis, 'pubsub');
      await docket.strike(`t-${i}`);
      await docket.restore(`t-${i - 1}`);
      expect(list.isStricken('old')).toBe(true);
    }
    await waitFor(() => list.isStricken('t-4'));
    expect([0, 1, 2, 3].map((i) => list.isStricken(`t-${i}`))).toEqual([false, false, false, false]);
  });

  test('keeps following when both of its links break', async () => {
    const list = open({ url: url(), name: stage.name });
    await list.connect();
    const redis = await stage.redis();
    await killClients(redis, 'normal');
    await killClients(redis, 'pubsub');
    await stage.docket().strike('t');
    await expect.poll(() => list.isStricken('t')).toBe(true);
    await list.restore('t');
    await expect.poll(() => list.isStricken('t')).toBe(false);
  });

  test('notices that the strikes were deleted by hand', async () => {
    const list = open({ url: url(), name: stage.name });
    const docket = stage.docket();
    await docket.strike('before');
    await list.connect();
    await (await stage.redis()).flushall();
    await docket.strike('after');
    await waitFor(() => list.isStricken('after'));
    expect(list.isStricken('before')).toBe(false);
  });

  test('keeps its process alive until it is closed', async () => {
    const ended = await runModule(
      `import { StrikeList } from 'docket';
       const list = new StrikeList({ url: process.env.URL, name: 'a' });
       await list.connect();
       console.log(list.isStricken({}));
       await list.close();`,
      { URL: url() },
    );
    expect(ended).toEqual({ code: 0, signal: null, stdout: 'false\n', stderr: '' });
    const redis = await stage.redis();
    await expect.poll(() => clientList(redis)).not.toMatch(/name=docket:subscriber/);
  });
});
