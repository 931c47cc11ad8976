/** What a producer learns while its server is silent: a stopped process, or a route that leads nowhere. */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { AddUnconfirmedError, call, PartialAddError, RedisUnavailableError, task } from 'docket';
import { expect, onTestFinished, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const note = task('note', (_args: { n: number }) => {});

describeOnOwnRedis('a producer whose link is dead', (redis) => {
  const stage = setStage(() => redis().url);

  test('fails what was not sent as not written, with the link, and what comes later at once', {
    timeout: 60_000,
  }, async () => {
    const way = await silentWay(redis().socket);
    const docket = stage.docket({ url: way.url });
    await docket.add(note, { n: 0 }, { key: 'before' });
    way.silence(true);
    const begin = performance.now();
    const adds: Promise<{ readonly key: string; readonly error: unknown }>[] = [];
    for (let n = 0; n < 100; n++) {
      const key = `k${n}`;
      const error = docket.add(note, { n }, { key }).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      adds.push(error.then((it) => ({ key, error: it })));
      await delay(5);
    }
    const results = await Promise.all(adds);
    const tookMs = performance.now() - begin;
    const unconfirmed = results.filter(({ error }) => error instanceof AddUnconfirmedError);
    const unsent = results.filter(({ error }) => error instanceof RedisUnavailableError);
    expect(unconfirmed.length + unsent.length).toBe(results.length);
    expect(unsent.length).toBeGreaterThan(unconfirmed.length);
    expect(String(unsent[0]!.error)).toContain('nothing was written');
    // Each caller learns its own key, whatever travelled with it.
    expect(unconfirmed.map(({ error }) => (error as AddUnconfirmedError).key)).toEqual(
      unconfirmed.map((one) => one.key),
    );
    expect(tookMs).toBeLessThan(20_000); // the link is given up after 8 s; one attempt after the other took 48 s

    await docket.add(note, { n: 1 }).catch(() => {}); // waits for the attempt to connect that is on its way, and fails with it
    const later = performance.now();
    await expect(docket.add(note, { n: 2 })).rejects.toThrow(/link is down, and nothing was written/);
    expect(performance.now() - later).toBeLessThan(1_000);

    way.silence(false);
    await waitFor(
      () =>
        docket.add(note, { n: 3 }, { key: 'after' }).then(
          () => true,
          () => false,
        ),
      { timeoutMs: 30_000 },
    );
    const server = stage.docket();
    for (const { key } of unsent) expect(await server.getExecution(key)).toBeNull();
    await server.clear();
  });

  test('says for each add of a batch whether it may have been written or was never sent', async () => {
    const way = await silentWay(redis().socket);
    const docket = stage.docket({ url: way.url });
    await docket.add(note, { n: 0 }, { key: 'before' });
    way.silence(true);
    const calls = Array.from({ length: 1_000 }, (_, n) => call(note, { n }, { key: `m${n}` }));
    const error = (await docket.addMany(calls).catch((thrown: unknown) => thrown)) as PartialAddError;
    expect(error).toBeInstanceOf(PartialAddError);
    // Three full batches were on their way, and the rest, which fills no batch, waited behind them.
    const keys = calls.map(({ options }) => options!.key!);
    expect(error.unconfirmed).toEqual(keys.slice(0, 768));
    expect(error.unwritten).toEqual(keys.slice(768));
    expect(error.cause).toBeInstanceOf(AddUnconfirmedError);
    expect(error.message).toContain('of 1000 adds Redis confirmed 0, 232 were not written, and 768 may or may not');
    const server = stage.docket();
    for (const key of error.unwritten.slice(0, 20)) expect(await server.getExecution(key)).toBeNull();
    await server.clear();
  });
});

/** A way to a server that can fall silent: connections stay open, new ones are accepted, and nothing passes. */
async function silentWay(path: string): Promise<{ readonly url: string; silence(value: boolean): void }> {
  const links = new Set<Socket>();
  let isSilent = false;
  const server = createServer((near) => {
    const far = dial(path);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      links.add(from);
      from.on('data', (data) => {
        if (!isSilent) to.write(data);
      });
      from.on('error', () => {});
      from.on('close', () => to.destroy());
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.close();
    for (const link of links) link.destroy();
  });
  const silence = (value: boolean) => {
    isSilent = value;
  };
  return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, silence };
}
