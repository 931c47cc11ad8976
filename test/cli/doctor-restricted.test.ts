/** `docket doctor` on servers and for users that let docket do only a part of what it needs. */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { startRedis } from '../support/servers.js';
import { runDocket } from '../support/shell.js';
import { describeOnOwnRedis } from '../support/suites.js';

interface Check {
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  readonly advice: string | null;
}

describeOnOwnRedis('docket doctor', (redis) => {
  async function examine(url: string, name: string): Promise<{ checks: Check[]; of(check: string): Check }> {
    const { output, errors } = await runDocket(['doctor', '--json', '--url', url, '--docket', name]);
    expect(errors).toBe(''); // nothing of ioredis on the console
    const { checks } = JSON.parse(output) as { checks: Check[] };
    return { checks, of: (name) => checks.find(({ check }) => check === name) ?? expect.fail(`no check ${name}`) };
  }

  test('makes no checks of writes on a replica', async () => {
    const fleet = await openFleet(redis().url);
    const replica = await startRedis();
    onTestFinished(() => replica.stop());
    const { Redis } = await import('ioredis');
    const admin = new Redis(new URL(replica.url).pathname);
    onTestFinished(() => admin.disconnect());
    await admin.call('REPLICAOF', '127.0.0.1', '1');
    const { checks, of } = await examine(replica.url, fleet.name);
    expect(of('role')).toMatchObject({ status: 'fail', advice: 'give the URL of the master' });
    expect(checks.filter(({ status }) => status === 'fail')).toHaveLength(1);
  });

  test('says that the connection broke, and blames no scripts, when it breaks during the checks', async () => {
    const fleet = await openFleet(redis().url);
    const server = createServer((socket) => {
      const upstream = dial(redis().socket);
      for (const end of [socket, upstream]) {
        end.on('error', () => {});
        end.on('close', () => {
          socket.destroy();
          upstream.destroy();
        });
      }
      upstream.pipe(socket);
      socket.on('data', (data) => {
        const text = data.toString('latin1');
        if (/evalsha/i.test(text) && !text.includes('0'.repeat(40)))
          socket.destroy(); // no trial, but a script of a snapshot
        else upstream.write(data);
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const { checks, of } = await examine(`redis://127.0.0.1:${port}`, fleet.name);
    expect(of('may use scripts').status).toBe('ok');
    expect(checks.filter(({ status }) => status === 'fail').map(({ check }) => check)).toEqual(['connection']);
    expect(checks.at(-1)!.advice).toContain('make sure that Redis runs there');
  });

  test('names the one command that a user lacks, and does not blame scripts or the connection for it', async () => {
    const fleet = await openFleet(redis().url);
    const user = async (...rules: string[]) => {
      const allowed = ['on', '>geheim', `~${fleet.key('')}*`, `&${fleet.key('')}*`, '+@all'];
      await fleet.redis.call('ACL', 'SETUSER', 'few', 'reset', ...allowed, ...rules);
      return await examine(`unix://few:geheim@${redis().socket}`, fleet.name);
    };
    const timeless = await user('-time', '-ping', '-info');
    expect(timeless.of('connection').status).toBe('ok');
    expect(timeless.of('clock')).toMatchObject({ status: 'fail', advice: 'allow the command: +time' });
    expect(timeless.of('may use scripts').status).toBe('ok');
    expect(timeless.of('scripts').advice).toBe('allow the user the commands that the checks above name');

    const typeless = await user('-type');
    expect(typeless.of('connection').status).toBe('ok');
    expect(typeless.of('may use keys')).toMatchObject({ status: 'fail', advice: expect.stringContaining('+type') });
    expect(typeless.of('scripts')).toMatchObject({ status: 'ok', detail: expect.stringMatching(/^a snapshot took/) });
  });
});
