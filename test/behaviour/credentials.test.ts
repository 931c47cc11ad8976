/** Passwords that change, which no URL can have. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Docket, type ServerConnectionOptions } from 'docket';
import { expect, onTestFinished, test } from 'vitest';
import { closeConnection, openConnection } from '../support/built.js';
import { openFleet } from '../support/fleet.js';
import { runDocket } from '../support/shell.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeOnOwnRedis('a password that changes', (redis) => {
  test('is asked for before each attempt to connect, for the docket of each thread, too', async () => {
    const admin = await openConnection(redis().url, 'commands');
    onTestFinished(() => closeConnection(admin));
    let token = 'token-1';
    const rotate = async (next: string) => {
      await admin.acl('SETUSER', 'app', 'reset', 'on', `>${next}`, '~*', '&*', '+@all');
      token = next;
    };
    await rotate(token);
    let asked = 0;
    const password = async () => {
      asked += 1;
      return token;
    };
    const connection: ServerConnectionOptions = { username: 'app', password };
    const fleet = await openFleet(redis().url, { connection });
    fleet.leavesWork();
    await fleet.worker({ threads: 1 });
    expect(await (await fleet.docket.add('adds')).result()).toBe('scheduled');
    const before = asked;
    await rotate('token-2');
    await admin.call('CLIENT', 'KILL', 'USER', 'app');
    await waitFor(async () => (await (await fleet.docket.add('echo', { value: 2 })).result()) === 2);
    await waitFor(async () => (await (await fleet.docket.add('adds')).result()) === 'scheduled');
    expect(asked).toBeGreaterThan(before + 3);
    expect(inspect(fleet.docket, { depth: 9, showHidden: true }) + JSON.stringify(fleet.docket)).not.toContain(
      'token-',
    );
  });

  test('is in no error, nor is that of its function', async () => {
    const connection = { username: 'app', password: () => 's3cret' };
    const docket = new Docket({ name: 'd', url: redis().url, connection });
    onTestFinished(() => docket.close());
    const error = await docket.add('noop' as never).catch((thrown: unknown) => thrown);
    expect(String(error)).toContain('wrong user name or password');
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('s3cret');
    const broken = new Docket({
      name: 'd',
      url: redis().url,
      connection: { password: () => Promise.reject(new Error('no token')) },
    });
    onTestFinished(() => broken.close());
    await expect(broken.add('noop' as never)).rejects.toThrow(/cannot use Redis at .*: no token/);
  });

  test('holds up nobody for longer than an attempt to connect when its function does not answer', async () => {
    const connection = { password: () => new Promise<string>(() => {}), connectTimeout: 100 };
    const docket = new Docket({ name: 'd', url: redis().url, connection });
    await expect(docket.add('noop' as never)).rejects.toThrow(
      /connection\.password failed: it has not answered within 100 ms/,
    );
    const adding = docket.add('noop' as never).catch(() => 'rejected');
    await docket.close();
    expect(await adding).toBe('rejected');
  });

  test('must be text, whatever its function throws or returns', async () => {
    const errorWith = async (password: () => never) => {
      const docket = new Docket({ name: 'd', url: redis().url, connection: { password } });
      onTestFinished(() => docket.close());
      return await docket.add('noop' as never).catch(String);
    };
    expect(await errorWith(() => 5 as never)).toContain('must return text, and returned number');
    expect(
      await errorWith(() => {
        throw 'no vault';
      }),
    ).toContain('connection.password failed: no vault');
  });

  test('is read from a file by every command', async () => {
    const admin = await openConnection(redis().url, 'commands');
    onTestFinished(() => closeConnection(admin));
    await admin.acl('SETUSER', 'reader', 'on', '>in-file', '~*', '&*', '+@all');
    const folder = mkdtempSync(join(tmpdir(), 'docket-connection-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'password'), 'in-file\n');
    writeFileSync(join(folder, 'connection.json'), '{ "username": "reader", "passwordFile": "password" }');
    const env = { DOCKET_CONNECTION: join(folder, 'connection.json') };
    expect(await runDocket(['ls', '--url', redis().url], env)).toMatchObject({ code: 0, errors: '' });
    const { code, errors } = await runDocket(['ls', '--url', redis().url], { DOCKET_CONNECTION: '/nowhere' });
    expect([code, errors]).toEqual([2, "docket: DOCKET_CONNECTION: the file '/nowhere' cannot be read (ENOENT)\n"]);
  });
});
