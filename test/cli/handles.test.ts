/** `docket-worker` ends by itself, whatever its task modules keep open. */
import { expect, test } from 'vitest';
import { fixture, openFleet, startCommand } from '../support/fleet.js';
import { describeOnRedis } from '../support/suites.js';

const MODULE = ['--tasks', fixture('holds-on.js')];
const BYTES = 1_000_000;

describeOnRedis('a docket-worker whose task module keeps handles', (url) => {
  test.each(['0', '1'])('exits after its drain, with its complete output (--threads %s)', async (threads) => {
    const fleet = await openFleet(url());
    const command = fleet.command([...MODULE, '--threads', threads]);
    await command.ready();
    const execution = await fleet.docket.add('writes', { bytes: BYTES });
    await execution.result();
    command.process.kill('SIGTERM');
    expect(await command.ended).toEqual({ code: 0, signal: null });
    expect(command.output.map((line) => line.length)).toEqual([BYTES]);
  });

  test.each(['0', '1'])('exits with --until-finished when nothing is left (--threads %s)', async (threads) => {
    const fleet = await openFleet(url());
    await fleet.docket.add('writes', { bytes: BYTES });
    const command = fleet.command([...MODULE, '--threads', threads, '--until-finished']);
    expect(await command.ended).toEqual({ code: 0, signal: null });
    expect(command.output.map((line) => line.length)).toEqual([BYTES]);
  });

  test.each(['0', '1'])('exits when it fails (--threads %s)', async (threads) => {
    const fleet = await openFleet(url());
    const command = fleet.command([...MODULE, '--tasks', fixture('throws.js'), '--threads', threads]);
    expect(await command.ended).toEqual({ code: 1, signal: null });
    expect(command.errors.at(0)).toContain('docket-worker: ');
  });
});

test.each(['0', '1'])(
  'a docket-worker on memory:// exits, although its module keeps handles (--threads %s)',
  async (threads) => {
    const flags = ['--url', 'memory://handles', '--docket', 'handles', '--threads', threads, '--until-finished'];
    expect(await startCommand([...MODULE, ...flags]).ended).toEqual({ code: 0, signal: null });
  },
);
