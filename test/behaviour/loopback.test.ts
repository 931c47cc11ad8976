/** Where the ports listen that docket opens: on this machine alone, unless somebody says otherwise. */
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { startDocket } from '../support/shell.js';
import { describeOnRedis } from '../support/suites.js';

/** Linux gives every machine this address, too. What listens on 127.0.0.1 alone does not answer there. */
const ANOTHER_ADDRESS = '127.0.0.2';

async function answers(host: string, port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host, port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

describeOnRedis('the ports of docket', (url) => {
  test.skipIf(process.platform !== 'linux').each([
    ['listen on the loopback address', [], false],
    ['listen where they are told to', ['--http-host', '0.0.0.0'], true],
  ] as const)('for health and metrics %s', async (_, flags, isReached) => {
    const fleet = await openFleet(url());
    const command = fleet.command(['--threads', '1', '--metrics-port', '0', '--healthcheck-port', '0', ...flags]);
    await command.ready();
    const ports = command.lines.flatMap(({ message }) => {
      return Array.from(message.matchAll(/http:\/\/[^\s/]+:(\d+)/g), ([, port]) => Number(port));
    });
    expect(ports.length).toBeGreaterThan(0);
    for (const port of ports) {
      expect(await answers('127.0.0.1', port)).toBe(true);
      expect(await answers(ANOTHER_ADDRESS, port)).toBe(isReached);
    }
  });

  test.skipIf(process.platform !== 'linux')(
    'for the dashboard listen on the loopback address, and elsewhere with a token only',
    async () => {
      const fleet = await openFleet(url());
      for (const [flags, isReached] of [
        [[], false],
        [['--host', '0.0.0.0', '--token', 'long enough'], true],
      ] as const) {
        const shell = startDocket(['dashboard', '--port', '0', '--url', fleet.url, '--docket', fleet.name, ...flags]);
        onTestFinished(() => void shell.process.kill('SIGKILL'));
        const [, port] = /is at http:\S+:(\d+)\//.exec(await shell.shows(/is at http:\S+\n/))!;
        expect(await answers('127.0.0.1', Number(port))).toBe(true);
        expect(await answers(ANOTHER_ADDRESS, Number(port))).toBe(isReached);
      }
    },
  );
});
