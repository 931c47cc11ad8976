/** `docket dashboard` as a process: who can reach it, and how it ends. */
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { runDocket, startDocket } from '../support/shell.js';
import { describeOnRedis } from '../support/suites.js';

test('it refuses to listen for others without a token, and a token that is too short', async () => {
  const open = await runDocket(['dashboard', '--host', '0.0.0.0']);
  expect([open.code, open.output]).toEqual([2, '']);
  expect(open.errors).toMatch(
    /^docket: --host: other machines can reach 0\.0\.0\.0: give a password with --token[^\n]*\n$/,
  );
});

describeOnRedis('docket dashboard', (url) => {
  test('serves the page to this machine under its own names only, and ends with a signal', async () => {
    const fleet = await openFleet(url());
    const shell = startDocket(['dashboard', '--port', '0', '--url', fleet.url, '--docket', fleet.name]);
    onTestFinished(() => void shell.process.kill('SIGKILL'));
    const [, address] = /is at (http:\S+)/.exec(await shell.shows(/is at http:\S+\n/))!;
    const page = await fetch(address!);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('<div id="app">')]);
    expect(await (await fetch(`${address}api/session`)).json()).toMatchObject({
      docket: fleet.name,
      isReadOnly: false,
    });
    const live = await fetch(`${address}api/live`); // an open page does not keep it
    shell.process.kill('SIGTERM');
    expect(await shell.ended).toEqual({ code: 0, signal: null });
    await live.body?.cancel().catch(() => {});
    expect(shell.errors()).toBe('');
  });

  test('says in one line that its port is in use, or that its token is too short', async () => {
    const fleet = await openFleet(url());
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const common = ['--url', fleet.url, '--docket', fleet.name];
    const taken = await runDocket(['dashboard', '--port', String(port), ...common]);
    expect([taken.code, taken.output]).toEqual([1, '']);
    expect(taken.errors).toMatch(/^docket: --port: cannot listen on 127\.0\.0\.1:\d+, the port is in use: [^\n]*\n$/);
    const short = await runDocket(['dashboard', '--port', '0', '--token', 'short', ...common]);
    expect([short.code, short.errors]).toEqual([2, 'docket: --token: expected text of at least 8 characters\n']);
  });
});
