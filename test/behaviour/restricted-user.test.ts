/** Connections of a user who may use only what docket needs. */
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { closeConnection, openConnection } from '../support/built.js';
import { describeOnOwnRedis } from '../support/suites.js';

describeOnOwnRedis('a user with few rights', (redis) => {
  let admin: Redis;

  beforeAll(async () => {
    admin = new Redis(redis().socket);
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '&*', '+@all', '-ping', '-info');
  });
  afterAll(() => admin.disconnect());

  const urlOf = (login: string) => redis().url.replace('unix://', `unix://${login}@`);

  test('without PING keeps its links, since any answer is a sign of life', async () => {
    for (const role of ['producer', 'subscriber'] as const) {
      const client = await openConnection(urlOf('app:pw'), role, { silenceMs: 90 });
      onTestFinished(() => closeConnection(client));
      let closes = 0;
      client.on('close', () => closes++);
      const asked = async () =>
        Number(/cmdstat_ping:.*rejected_calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0);
      const before = await asked();
      await expect.poll(asked, { timeout: 20_000 }).toBeGreaterThan(before + 8); // twice the silence that is allowed
      expect(closes).toBe(0);
    }
  });

  test('without INFO connects, and nothing is written to the console', async () => {
    const written = ['log', 'warn', 'error'].map((name) => vi.spyOn(console, name as 'warn'));
    onTestFinished(() => void vi.restoreAllMocks());
    const client = await openConnection(urlOf('app:pw'), 'commands');
    onTestFinished(() => closeConnection(client));
    expect(await client.get('nothing')).toBeNull();
    await expect(client.info()).rejects.toThrow('NOPERM'); // for callers of its own
    for (const spy of written) expect(spy).not.toHaveBeenCalled();
  });

  test('a password in the place of the user name does not get into errors', async () => {
    const error = await openConnection(urlOf('s3cret%3Ax'), 'producer').catch((thrown: unknown) => thrown);
    expect((error as Error).message).toContain('WRONGPASS');
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('s3cret');
  });
});
