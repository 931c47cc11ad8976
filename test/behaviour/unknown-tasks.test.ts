/** What becomes of executions of a task that a worker does not know: a rolling deploy must lose nothing. */
import { call, ModuleReferenceRequiredError, task } from 'docket';
import { Worker } from 'docket/worker';
import { describe, expect, test } from 'vitest';
import { left } from '../support/chains.js';
import { type Fleet, fixture, openFleet, type Running, TASKS } from '../support/fleet.js';
import { takeNotes } from '../support/notes.js';
import { describeEachMode, describeWithoutThreads } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const CONFIGURED = fixture('configured.js');
const FALLBACK = fixture('fallback.js');
/** Knows `trace`, `fail` and `sleep` alone; looks at the schedule often, since a test moves what is on it by hand. */
const IGNORANT = { tasks: [], schedulingResolution: '20ms' } as const;
const KEPT = [{ executionTtl: '15m' }, { executionTtl: 0 }] as const;

/** Where something waits on the schedule, and for how much longer. */
interface Parked {
  readonly member: string;
  readonly fields: Readonly<Record<string, Buffer>>;
  readonly inMs: number;
}

async function parked({ redis, key }: Fleet): Promise<Parked[]> {
  const due = await redis.zrange(key('schedule'), '0', '-1', 'WITHSCORES');
  const [seconds, micros] = (await redis.time()).map(Number);
  const members = due.filter((_, i) => i % 2 === 0);
  return await Promise.all(
    members.map(async (member, i) => ({
      member,
      fields: await redis.hgetallBuffer(key(`${member.startsWith('k') ? 'run' : 'parked'}:${member.slice(1)}`)),
      inMs: Number(due[2 * i + 1]) - seconds! * 1_000 - micros! / 1_000,
    })),
  );
}

/** Waits until so many were put back so often. */
async function putBack(fleet: Fleet, times: number, count = 1): Promise<Parked[]> {
  let all: Parked[] = [];
  // Counted first: to read hundreds of records over and over would keep the worker, which is in this process, from its work.
  await waitFor(async () => (await fleet.redis.zcard(fleet.key('schedule'))) === count);
  await waitFor(async () => {
    all = await parked(fleet);
    return all.length === count && all.every(({ fields, inMs }) => Number(fields.pp) === times && inMs > 0);
  });
  return all;
}

/** Lets the time until what is parked is due be over. */
async function letPass(fleet: Fleet): Promise<void> {
  for (const { member } of await parked(fleet)) await fleet.redis.zadd(fleet.key('schedule'), 'XX', 1, member);
}

function expectAbout({ inMs }: Parked, ms: number): void {
  expect(inMs).toBeLessThanOrEqual(ms);
  expect(inMs).toBeGreaterThan(ms - Math.min(ms / 2, 5_000)); // so much later may the test look
}

const warnings = ({ lines }: Running) =>
  lines.filter(({ message }) => message.includes('is rerouted')).map((line) => line.message);

describeWithoutThreads('an unknown task', (url, threads) => {
  describe.each(KEPT)('executionTtl $executionTtl', (options) => {
    test('is rerouted, later each time, until a worker comes that knows it', async () => {
      const fleet = await openFleet(url(), options);
      const { probe } = fleet;
      const ignorant = await fleet.worker({ ...IGNORANT, threads });
      const keyed = await fleet.docket.add('counted', { probe }, { key: 'keyed' });
      const unkeyed = await fleet.docket.add('counted', { probe });
      for (let times = 1; times <= 3; times++) {
        for (const one of await putBack(fleet, times, 2)) expectAbout(one, 10_000 * 2 ** (times - 1));
        expect(await fleet.pending()).toBe(0);
        const found = await fleet.docket.getExecution('keyed');
        expect(found).toMatchObject({ state: 'scheduled', attempt: 1, worker: null });
        await letPass(fleet);
      }
      await putBack(fleet, 4, 2);
      expect(warnings(ignorant)[0]).toBe(
        'counted is rerouted for 10 s: no such task is loaded here, and no live worker has it',
      );
      expect(warnings(ignorant)).toHaveLength(8);

      await ignorant.stop();
      await fleet.worker({ threads }); // recalls them: they would wait for 80 s
      await waitFor(async () => (await left(fleet)) === 0);
      expect(await fleet.counts()).toEqual({ keyed: 1, [unkeyed.key]: 1 });
      if (options.executionTtl === 0) return;
      await Promise.all([keyed.result(), unkeyed.result()]);
      await keyed.sync();
      expect(keyed).toMatchObject({ state: 'completed', attempt: 1 });
    });

    test('is rerouted in 5 minutes at most', async () => {
      const fleet = await openFleet(url(), options);
      await fleet.docket.add('counted', { probe: fleet.probe }, { key: 'k', when: '1h' });
      await fleet.redis.hset(fleet.key('run:k'), 'pp', '1000');
      await fleet.worker({ ...IGNORANT, threads });
      await letPass(fleet);
      const [one] = await putBack(fleet, 1_001);
      expectAbout(one!, 300_000);
      await fleet.docket.cancel('k');
      await waitFor(async () => (await left(fleet)) === 0);
    });

    test('is recalled by a worker that starts and has it', async () => {
      const fleet = await openFleet(url(), options);
      const { docket, redis, key, probe } = fleet;
      const ignorant = await fleet.worker({ ...IGNORANT, threads });
      const calls = Array.from({ length: 600 }, () => call('counted', { probe })); // more than one script takes
      const added = await docket.addMany(calls);
      await putBack(fleet, 1, 600);
      expect(await redis.zcard(key('rerouted:counted'))).toBe(600);
      expect(await redis.smembers(key('recallable'))).toEqual(['counted']);
      expect(await redis.pttl(key('recallable'))).toBeGreaterThan(300_000);
      expect(await redis.pttl(key('rerouted:counted'))).toBeGreaterThan(300_000);
      await ignorant.stop();
      for (const { member } of await parked(fleet)) {
        // As if they had been put back many times.
        await redis.zadd(key('schedule'), 'XX', 10_000_000_000_000, member);
        await redis.zadd(key('rerouted:counted'), 'XX', 10_000_000_000_000, member);
      }
      await fleet.worker({ threads });
      await waitFor(async () => (await left(fleet)) === 0);
      expect(await fleet.counts()).toEqual(Object.fromEntries(added.map((execution) => [execution.key, 1])));
      await waitFor(async () => (await redis.exists(key('rerouted:counted'), key('recallable'))) === 0);
    });

    test('is not recalled after something else has put it on the schedule', async () => {
      const fleet = await openFleet(url(), options);
      const { docket, redis, key, probe } = fleet;
      await fleet.worker({ ...IGNORANT, threads });
      await docket.add('counted', { probe }, { key: 'k' });
      await docket.add('counted', { probe }, { key: 'cancelled' });
      await putBack(fleet, 1, 2);
      await docket.replace('counted', { probe }, { key: 'k', when: '1h' });
      await docket.cancel('cancelled');
      await fleet.worker({ threads });
      await waitFor(async () => (await redis.exists(key('rerouted:counted'))) === 0);
      expect(await parked(fleet)).toMatchObject([{ member: 'kk' }]);
      await docket.cancel('k');
      await waitFor(async () => (await left(fleet)) === 0);
      expect(await fleet.counts()).toEqual({});
    });

    test('is rerouted for a second at most when a live worker has it', async () => {
      const fleet = await openFleet(url(), options);
      const { docket, probe } = fleet;
      const knowing = await fleet.worker({ threads: threads && 1, concurrency: 1 });
      await waitFor(async () => (await fleet.redis.zcard(fleet.key('workers'))) === 1);
      await docket.add('hold', { probe }, { key: 'holding' }); // so that it takes nothing more
      await fleet.step('start holding 1');
      const ignorant = await fleet.worker({ ...IGNORANT, threads });
      await docket.add('counted', { probe }, { key: 'k' });
      await waitFor(() => warnings(ignorant).length > 0);
      await waitFor(async () => {
        const [one] = await parked(fleet);
        return one && Number(one.fields.pp) > 6 && one.inMs > 0 && one.inMs <= 1_000; // it comes back every second
      });
      const first = /^counted is rerouted for (\d+) ms: no such task is loaded here, but another live worker has it$/;
      const [, ms] = first.exec(warnings(ignorant)[0]!)!;
      expect(Number(ms)).toBeLessThanOrEqual(20);
      await ignorant.stop();
      await fleet.release();
      await waitFor(async () => (await fleet.counts()).k === 1);
      await waitFor(async () => (await left(fleet)) === 0);
      expect(warnings(knowing)).toEqual([]);
    });
  });

  test('keeps fields of its entry that this version does not know', async () => {
    const fleet = await openFleet(url());
    const { docket, redis, key, probe } = fleet;
    const execution = await docket.add('hold', { probe, value: 'whole' }, { key: 'k' });
    const [[id, fields]] = (await redis.xrangeBuffer(key('work'), '-', '+')) as unknown as [[string, Buffer[]]];
    await redis.xdel(key('work'), String(id));
    const token = await redis.xadd(key('work'), '*', ...fields, 'future', 'kept');
    await redis.hset(key('run:k'), 'e', `w${token}`);
    const ignorant = await fleet.worker({ ...IGNORANT, threads });
    for (let times = 1; times <= 2; times++) {
      const [one] = await putBack(fleet, times);
      expect(String(one!.fields.pfuture)).toBe('kept');
      await letPass(fleet);
    }
    await putBack(fleet, 3);
    await ignorant.stop();
    await fleet.worker({ threads, schedulingResolution: '20ms' });
    await letPass(fleet);
    await fleet.step('start k 1');
    const entries = (await redis.xrange(key('work'), '-', '+')).flatMap(([, words]) => words);
    expect(entries[entries.indexOf('future') + 1]).toBe('kept');
    await fleet.release();
    expect(await execution.result()).toBe('whole');
  });

  test('is not forgotten when the worker that rerouted it is gone', async () => {
    const fleet = await openFleet(url());
    const execution = await fleet.docket.add('echo', { value: 1 }, { key: 'k' });
    const first = await fleet.worker({ ...IGNORANT, threads });
    await putBack(fleet, 1);
    await first.stop();
    const second = await fleet.worker({ ...IGNORANT, threads });
    await letPass(fleet);
    await putBack(fleet, 2);
    await second.stop();
    await fleet.worker({ threads, schedulingResolution: '20ms' });
    await letPass(fleet);
    expect(await execution.result()).toBe(1);
  });

  test('can be cancelled and replaced like any scheduled execution', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ ...IGNORANT, threads });
    const cancelled = await fleet.docket.add('counted', { probe: fleet.probe }, { key: 'k' });
    await putBack(fleet, 1);
    await fleet.docket.cancel('k');
    await expect(cancelled.result()).rejects.toMatchObject({ code: 'DOCKET_EXECUTION_CANCELLED' });
    await fleet.docket.add('counted', { probe: fleet.probe }, { key: 'k' });
    await putBack(fleet, 1);
    const replaced = await fleet.docket.replace('trace', { message: 'known' }, { key: 'k' });
    await replaced.result();
    expect(await left(fleet)).toBe(0);
  });
});

describeWithoutThreads('a message of a newer version', (url, threads) => {
  test('is rerouted, even by a worker that knows its task or has a fallback', async () => {
    const fleet = await openFleet(url());
    const { docket, redis, key } = fleet;
    const execution = await docket.add('echo', { value: 'from the future' }, { key: 'k', when: '1h' });
    const message = (await redis.hgetBuffer(key('run:k'), 'm'))!;
    const newer = Buffer.concat([Buffer.from([message[0]! + 1, 3]), message.subarray(2), Buffer.from([0xc0])]);
    await redis.hset(key('run:k'), 'm', newer);
    await letPass(fleet);
    const running = await fleet.worker({ threads, fallback: `${FALLBACK}:other`, schedulingResolution: '20ms' });
    for (let times = 1; times <= 2; times++) {
      const [one] = await putBack(fleet, times);
      expectAbout(one!, 10_000 * 2 ** (times - 1));
      expect(one!.fields.m).toEqual(newer); // as it came
      if (times === 1) await letPass(fleet);
    }
    expect(warnings(running)).toEqual([
      'echo is rerouted for 10 s: its message is of a newer version (3)',
      'echo is rerouted for 20 s: its message is of a newer version (3)',
    ]);
    expect(await redis.exists(key('failures'))).toBe(0);
    await redis.hset(key('run:k'), 'm', message);
    await letPass(fleet);
    expect(await execution.result()).toBe('from the future');
  });
});

describeEachMode('a fallback', (url, threads) => {
  /** The ways to name it, as options of a worker. */
  const WAYS = [
    ['by the option, with its export', { tasks: TASKS, fallback: `${FALLBACK}:fallback` }],
    ['by the option, as a URL', { tasks: TASKS, fallback: new URL(`file://${FALLBACK}`) }],
    ['by a module', { tasks: [TASKS, CONFIGURED] }],
  ] as const;

  test.each(WAYS)('that is named %s runs unknown tasks, by its own policies, under their names', async (_, options) => {
    const fleet = await openFleet(url());
    const { file, of } = takeNotes();
    const lean = fleet.with({ executionTtl: 0 });
    const running = await fleet.worker({ ...options, threads, concurrency: 1 });
    const execution = await fleet.docket.add('elsewhere', { file, amount: 3n, at: new Date(0) }, { key: 'k' });
    expect(await execution.result()).toEqual({ task: 'elsewhere', args: { amount: 3n, at: new Date(0) } });
    await execution.sync();
    expect(execution).toMatchObject({ task: 'elsewhere', state: 'completed' });

    const failing = await fleet.docket.add('failing', { file, fails: true }, { key: 'f' });
    await expect(failing.result()).rejects.toThrow(/failing/);
    await lean.add('lean', { file, fails: true }, { key: 'l' });
    await waitFor(() => running.lines.some(({ message }) => message.startsWith('lean failed')));
    expect(of('forward')).toEqual(['elsewhere k 1', 'failing f 1', 'failing f 2', 'lean l 1', 'lean l 2']);
    expect(warnings(running)).toEqual([]);
    const known = await fleet.docket.add('echo', { file, value: 'known' });
    expect(await known.result()).toBe('known');
  });

  test('of the worker takes precedence over that of a module', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ tasks: CONFIGURED, fallback: `${FALLBACK}:other`, threads });
    // What the module has around every execution notes to a file.
    const execution = await fleet.docket.add('elsewhere', { file: takeNotes().file });
    expect(await execution.result()).toBe('other for elsewhere');
  });

  test('that is no task or does not exist ends the worker at once', async () => {
    const fleet = await openFleet(url());
    for (const [reference, message] of [
      [`${FALLBACK}:noTask`, /the fallback must be a task, but 'noTask' is not one; it exports fallback/],
      [`${FALLBACK}:nonesuch`, /has no export 'nonesuch'/],
      ['./nowhere.js', /there is no file/],
    ] as const) {
      const worker = new Worker(fleet.docket, { tasks: TASKS, fallback: reference, threads });
      await expect(worker.runForever()).rejects.toThrow(message);
    }
  });

  test('may be given as a value where there are no threads, and only there', async () => {
    const fleet = await openFleet(url());
    const itself = task('itself', (_args: {}, ctx) => `itself for ${ctx.execution.task}`);
    if (threads > 0) {
      expect(() => new Worker(fleet.docket, { fallback: itself, threads })).toThrow(ModuleReferenceRequiredError);
      return;
    }
    await fleet.worker({ fallback: itself, threads });
    const execution = await fleet.docket.add('elsewhere');
    expect(await execution.result()).toBe('itself for elsewhere');
  });
});
