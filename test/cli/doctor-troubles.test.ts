/** What `docket doctor` says while something goes wrong: tasks that fail, work that does not start, a server that went away. */
import { expect, onTestFinished, test } from 'vitest';
import { importBuilt } from '../support/built.js';
import { type Fleet, fixture, openFleet } from '../support/fleet.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { ENTRY } = await importBuilt<typeof import('../../src/redis/schema.js')>('redis/schema.js');
const { examine } = await importBuilt<typeof import('../../src/doctor/examine.js')>('doctor/examine.js');

describeOnOwnRedis('the doctor', (redis) => {
  async function findingOf(fleet: Fleet, check: string) {
    const findings = await examine(fleet.docket, { isThorough: false });
    return findings.find((one) => one.check === check) ?? expect.fail(`no check ${check}`);
  }

  test('names a task of which many executions fail, how many, and what to do', async () => {
    const fleet = await openFleet(redis().url, { heartbeatInterval: '50ms' });
    await fleet.worker({ threads: 0, tasks: fixture('failing.js') });
    const fail = async (count: number) => {
      for (let i = 0; i < count; i++) await fleet.docket.add('decline', { worksIn: 9, amount: i }, { key: `c-${i}` });
    };
    const failed = async () => (await fleet.docket.stats({ minutes: 10 }))[0]?.failed;
    await fail(4);
    await waitFor(async () => (await failed()) === 4);
    expect(await findingOf(fleet, 'failing tasks')).toMatchObject({ status: 'ok' }); // a few failures are normal
    await fail(6);
    await waitFor(async () => (await failed()) === 10);
    expect(await findingOf(fleet, 'failing tasks')).toMatchObject({
      status: 'warn',
      detail: expect.stringMatching(/^executions that failed for good in the last 5 minutes: decline \d+ of \d+$/),
      advice: 'docket failures --task decline shows why, docket pause decline keeps more from starting',
    });
  });

  test('says that what is due does not start, except while the whole docket is paused', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.worker({ threads: 1 });
    await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'held' });
    onTestFinished(() => fleet.release());
    await fleet.step('start held 1');
    expect(await findingOf(fleet, 'backlog')).toMatchObject({ status: 'ok', detail: '0 executions queued' });
    await fleet.redis.xadd(fleet.key('work'), '*', ENTRY.message, 'rubbish', ENTRY.due, Date.now() - 600_000);
    expect(await findingOf(fleet, 'backlog')).toMatchObject({
      status: 'warn',
      detail: expect.stringMatching(/^1 execution queued, the next of them due for 10m \d+s$/),
    });
    await fleet.docket.pause();
    expect(await findingOf(fleet, 'backlog')).toMatchObject({ status: 'ok' });
    await fleet.docket.resume();
  });

  test('says in words that a server which it had reached is away', async () => {
    const fleet = await openFleet(redis().url);
    fleet.leavesWork();
    await fleet.docket.snapshot();
    await redis().kill();
    onTestFinished(() => redis().start());
    for (let i = 0; i < 3; i++) {
      const findings = await examine(fleet.docket, { isThorough: false });
      expect(findings.at(-1)).toMatchObject({ check: 'connection', status: 'fail' });
      expect(findings.at(-1)!.detail).toMatch(/cannot be reached: the link is down|cannot use Redis at/);
    }
  });
});
