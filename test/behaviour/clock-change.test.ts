/** A thousand schedules that were made at run time, in a night in which the clocks change. */
import { call, cron } from 'docket';
import { expect, test } from 'vitest';
import { CHAINS, schedulesOf } from '../support/chains.js';
import { type Fleet, openFleet } from '../support/fleet.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const CLOCK = new URL('../fixtures/shifted-clock.js', import.meta.url).href;
await import(CLOCK);

const COMMAND = ['--tasks', CHAINS, '--threads', '1', '--concurrency', '8', '--redelivery-timeout', '1s'];
const COUNT = 1_000;

/**
 * What runs, on the days around the 28th of March 2027, at 1:00 UTC of which clocks in Berlin go from 2:00 to 3:00. Each has
 * an expression for every second of a few, so that not all are due at once.
 */
const KINDS = [
  { name: 'before', at: '30 1', dues: ['27T00:30', '28T00:30', '28T23:30'] },
  { name: 'missing', at: '30 2', dues: ['27T01:30', '28T01:00', '29T00:30'] }, // once, when the missing hour would have begun
  { name: 'after', at: '0 3', dues: ['27T02:00', '28T01:00', '29T01:00'] },
] as const;
const SECONDS = 5;

const keyOf = (i: number) => `report-${i}`;
const kindOf = (i: number) => KINDS[i % KINDS.length]!;
const policyOf = (i: number) =>
  cron(`${Math.floor(i / KINDS.length) % SECONDS} ${kindOf(i).at} * * *`, { timezone: 'Europe/Berlin' });

/** One delivery, as its task recorded it. */
interface Fired {
  readonly key: string;
  readonly due: string;
  readonly isRedelivered: boolean;
  readonly value: string;
}

async function firedOf(fleet: Fleet): Promise<Fired[]> {
  const steps = (await fleet.steps()).map((step) => step.split(' ')).filter(([what]) => what === 'fired');
  return steps.map(([, key, due, redelivered, value]) => {
    return { key: key!, due: due!, isRedelivered: redelivered === 'true', value: value! };
  });
}

/** Sets the server's clock, as docket knows it. */
async function setClock(fleet: Fleet, time: string): Promise<void> {
  const seconds = Math.round((Date.parse(`2027-03-${time}:00Z`) - Date.now()) / 1_000);
  await fleet.redis.set('shift', seconds);
}

/** Waits until so many schedules have had each of these due times. */
async function allFired(fleet: Fleet, due: string, count: number): Promise<void> {
  const hasAll = async () => {
    const keys = (await firedOf(fleet)).filter((one) => one.due.startsWith(`2027-03-${due}`)).map(({ key }) => key);
    return new Set(keys).size === count;
  };
  await waitFor(hasAll, { timeoutMs: 120_000 });
}

const isReplaced = (i: number) => i % 10 === 3;
const isEnded = (i: number) => i % 10 === 7;
const LIVE = Array.from({ length: COUNT }, (_, i) => i).filter((i) => !isEnded(i));
const countOf = (due: string) => LIVE.filter((i) => (kindOf(i).dues as readonly string[]).includes(due)).length;

describeOnOwnRedis('a thousand schedules', (redis) => {
  test('are replaced, ended and listed, and each runs once at each time in the night in which the clocks change', {
    timeout: 600_000,
  }, async () => {
    const fleet = await openFleet(redis().url);
    const { docket, probe } = fleet;
    await setClock(fleet, '26T12:00');
    const add = (i: number) =>
      call('fired', { probe, value: 'first' }, { key: keyOf(i), perpetual: policyOf(isReplaced(i) ? i + 1 : i) });
    await docket.addMany(Array.from({ length: COUNT }, (_, i) => add(i)));
    const indices = Array.from({ length: COUNT }, (_, i) => i);
    for (const i of indices.filter(isReplaced)) {
      await docket.replace('fired', { probe, value: 'second' }, { key: keyOf(i), perpetual: policyOf(i) });
    }
    await Promise.all(indices.filter(isEnded).map((i) => docket.cancel(keyOf(i))));

    const listed = await schedulesOf(docket);
    expect(listed.map(({ key }) => key)).toEqual(LIVE.map(keyOf).sort());
    for (const { key, nextRuns } of listed) {
      const { dues } = kindOf(Number(key.slice('report-'.length)));
      expect(nextRuns.map((when) => when.toISOString().slice(8, 16))).toEqual(dues);
    }

    const env = { NODE_OPTIONS: `--import ${CLOCK}` };
    const [doomed, other] = [fleet.command(COMMAND, env), fleet.command(COMMAND, env)];
    await Promise.all([doomed.ready(), other.ready()]);
    const dueTimes = [...new Set(KINDS.flatMap(({ dues }) => dues))].sort();
    for (const due of dueTimes) {
      await setClock(fleet, due);
      // In the middle of what is due when the clocks change, one of the two workers is killed.
      if (due === '28T01:00') {
        await waitFor(async () => (await firedOf(fleet)).some((one) => one.due.startsWith(`2027-03-${due}`)));
        doomed.process.kill('SIGKILL');
      }
      await allFired(fleet, due, countOf(due));
    }

    const fired = await firedOf(fleet);
    for (const i of LIVE) {
      const runs = fired.filter(({ key }) => key === keyOf(i));
      const value = isReplaced(i) ? 'second' : 'first';
      expect(runs.every((run) => run.value === value)).toBe(true);
      expect([...new Set(runs.map(({ due }) => due.slice(8, 16)))]).toEqual(kindOf(i).dues);
      // What the killed worker had begun is delivered again, and nothing else runs twice.
      const begun = runs.filter(({ isRedelivered }) => !isRedelivered).map(({ due }) => due);
      expect(new Set(begun).size).toBe(begun.length);
    }
    expect(fired.some(({ key }) => isEnded(Number(key.slice('report-'.length))))).toBe(false);

    await waitFor(async () =>
      (await schedulesOf(docket)).every(({ lastOutcome }) => lastOutcome?.state === 'completed'),
    );
    expect(await schedulesOf(docket)).toHaveLength(LIVE.length);
    await Promise.all(LIVE.map((i) => docket.cancel(keyOf(i))));
    expect([await schedulesOf(docket), await fleet.redis.exists(fleet.key('chains'))]).toEqual([[], 0]);
    await fleet.redis.del('shift');
  });
});
