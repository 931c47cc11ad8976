/** A worker that starts before its server waits for it. */
import { expect, test } from 'vitest';
import { type Command, openFleet } from '../support/fleet.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeOnOwnRedis('a worker that starts', (redis) => {
  const messages = ({ lines }: Command) => lines.map(({ message }) => message);

  test('before its server waits for it with one line, and runs what is there', async () => {
    const fleet = await openFleet(redis().url);
    const execution = await fleet.docket.add('echo', { value: 7 });
    await redis().kill();
    const command = fleet.command(['--threads', '1', '--reconnection-delay', '50ms']);
    await waitFor(() =>
      messages(command).some((line) => /no socket at this path: waiting for it$|refused.*: waiting for it$/.test(line)),
    );
    await redis().start();
    await command.ready();
    const waits = messages(command).filter((line) => line.endsWith('waiting for it'));
    expect(new Set(waits).size).toBe(waits.length); // each problem once, however often it was met
    expect(messages(command)).toContainEqual(expect.stringMatching(/^Redis at .* answers now$/));
    expect(await execution.result()).toBe(7);
  });

  test('and may not wait for ever ends with what is wrong', async () => {
    const fleet = await openFleet(redis().url);
    await redis().kill();
    const command = fleet.command(['--connect-timeout', '3s']);
    expect(await command.ended).toMatchObject({ code: 1 });
    expect(command.errors.at(-1)).toMatch(
      /^docket-worker: cannot use Redis at [^\n]*(?:no socket at this path|refused)/,
    );
    await redis().start();
  });
});
