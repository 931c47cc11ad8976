/** Redis loses everything while workers run: what is lost is said, and all that is made afterwards works. */
import { ExecutionNotFoundError } from 'docket';
import { expect, test } from 'vitest';
import { CHAINS, pendingMs, ran } from '../support/chains.js';
import { openFleet, TASKS } from '../support/fleet.js';
import type { Line } from '../support/logger.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const STREAMS = ['front', 'high', 'low', 'work'];

/** The streams that a worker said were lost. */
const saidLost = (lines: readonly Line[]) =>
  lines
    .filter(({ level, message }) => level === 'error' && message.startsWith('Redis has lost streams of this docket'))
    .flatMap(({ fields }) => fields.streams as string[]);

describeOnOwnRedis('after FLUSHALL under running workers', (redis) => {
  test('each lost stream is named in the log of one worker, and whoever waits is told that the execution is gone', async () => {
    const fleet = await openFleet(redis().url);
    const { docket, probe } = fleet;
    const workers = [await fleet.worker(), await fleet.worker()];
    const held = await docket.add('hold', { probe }, { key: 'held' });
    await fleet.step('start held 1');
    const later = await docket.add('noop', {}, { key: 'later', when: '1h' });
    const waiting = [held, later].map((one) => expect(one.result()).rejects.toThrow(ExecutionNotFoundError));

    await fleet.redis.flushall();
    await Promise.all(waiting);
    await waitFor(() => workers.flatMap(({ lines }) => saidLost(lines)).length === STREAMS.length);
    expect(workers.flatMap(({ lines }) => saidLost(lines)).sort()).toEqual(STREAMS);
    await fleet.release();
    const lines = () => workers.flatMap((one) => one.lines).map(({ message }) => message);
    await waitFor(() => lines().includes('hold ended here after its key or lease had passed on: nothing was written'));
    expect([await docket.getExecution('held'), await docket.getExecution('later')]).toEqual([null, null]);
    await (await docket.add('hold', { probe }, { key: 'held' })).result();
  });

  test('strikes and pauses of before are forgotten, and new work, schedules, strikes and pauses hold', async () => {
    const fleet = await openFleet(redis().url);
    const { docket } = fleet;
    const { lines } = await fleet.worker();
    await docket.strike('echo');
    await docket.pause('noop');
    await waitFor(() => lines.some(({ message }) => message.startsWith('paused')));

    await fleet.redis.flushall();
    // What is added before the worker has noticed ends as struck, which is what it was.
    await waitFor(async () => (await (await docket.add('echo', { value: 1 })).result().catch(() => null)) === 1);
    await (await docket.add('noop', {})).result();
    expect(await (await docket.add('echo', { value: 2 }, { when: 1 })).result()).toBe(2);
    await docket.strike('echo');
    expect((await docket.add('echo', { value: 3 })).disposition).toBe('struck');
    await docket.pause('noop');
    const paused = await docket.add('noop', {});
    await waitFor(async () => (await docket.snapshot()).totals.paused === 1);
    await docket.resume('noop');
    await paused.result();
    await docket.restore('echo');
  });

  test('the chains of automatic tasks start again at once', async () => {
    const fleet = await openFleet(redis().url);
    process.env.CHAINS_PROBE = JSON.stringify(fleet.probe);
    const { lines } = await fleet.worker({ tasks: [TASKS, `${CHAINS}:sweeping`] });
    await ran(fleet, { key: 'sweep' }, 1);
    await waitFor(async () => (await pendingMs(fleet, { key: 'sweep' })) !== null);

    await fleet.redis.flushall();
    await ran(fleet, { key: 'sweep' }, 2);
    await waitFor(async () => (await pendingMs(fleet, { key: 'sweep' })) !== null);
    expect(saidLost(lines).sort()).toEqual(STREAMS);
    fleet.leavesWork();
  });
});
