/** When and how often a failed attempt is tried again. */
import { describe, expect, test } from 'vitest';
import { type Fleet, openFleet, shareWorker } from '../support/fleet.js';
import { describeEachMode } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeEachMode('a failed attempt', (url, threads) => {
  /** The attempts of one key in their order, with the time each began. */
  async function attempts(fleet: Fleet, key: string): Promise<{ attempt: number; at: number }[]> {
    const steps = (await fleet.steps()).map((step) => step.split(' '));
    return steps.filter(([of]) => of === key).map(([, attempt, at]) => ({ attempt: Number(attempt), at: Number(at) }));
  }

  function gaps(begun: readonly { at: number }[]): number[] {
    return begun.slice(1).map(({ at }, i) => at - begun[i]!.at);
  }

  describe.each([{ executionTtl: '15m' }, { executionTtl: 0 }] as const)('executionTtl $executionTtl', (options) => {
    const shared = shareWorker(url, { threads }, options);

    test.each([
      { name: 'fixed', expected: [120, 120] },
      { name: 'exponential', expected: [50, 100, 100] },
    ])('is tried again after the delay of its policy ($name)', async ({ name, expected }) => {
      const { fleet } = shared();
      const until = expected.length + 1;
      await fleet.docket.add(name, { probe: fleet.probe, until }, { key: 'k' });
      await waitFor(async () => (await attempts(fleet, 'k')).length === until);
      const begun = await attempts(fleet, 'k');
      expect(begun.map(({ attempt }) => attempt)).toEqual(Array.from({ length: until }, (_, i) => i + 1));
      for (const [i, gap] of gaps(begun).entries()) expect(gap).toBeGreaterThanOrEqual(expected[i]!);
    });

    test('is not followed by another when it was the last, and its number is logged', async () => {
      const { fleet, running } = shared();
      const { lines } = running;
      await fleet.docket.add('atOnce', { probe: fleet.probe, until: 99 }, { key: 'k' });
      const line = await waitFor(() => lines.find(({ message }) => message.includes('atOnce failed')));
      expect(line).toMatchObject({ level: 'error', fields: { key: 'k', task: 'atOnce', attempt: 4 } });
      expect((await attempts(fleet, 'k')).map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
      const retried = lines.filter(({ message }) => message.includes('is retried'));
      expect(retried.map(({ fields }) => fields.attempt)).toEqual([1, 2, 3]);
    });

    test('without a key keeps the one it was given', async () => {
      const { fleet } = shared();
      const [direct, delayed] = await Promise.all([
        fleet.docket.add('atOnce', { probe: fleet.probe, until: 3 }),
        fleet.docket.add('fixed', { probe: fleet.probe, until: 3 }),
      ]);
      for (const { key } of [direct, delayed]) {
        await expect.poll(async () => (await attempts(fleet, key)).map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
      }
    });

    test('is tried again when the body says', async () => {
      const { fleet } = shared();
      const at = new Date(Date.now() + 400);
      await fleet.docket.add('askingAfter', { probe: fleet.probe }, { key: 'after' });
      await fleet.docket.add('askingAt', { probe: fleet.probe, at }, { key: 'at' });
      await waitFor(async () => (await attempts(fleet, 'at')).length === 2);
      expect((await attempts(fleet, 'at'))[1]!.at).toBeGreaterThanOrEqual(at.getTime() - 5); // a delay in whole milliseconds
      await waitFor(async () => (await attempts(fleet, 'after')).length === 2);
      expect(gaps(await attempts(fleet, 'after'))[0]).toBeGreaterThanOrEqual(100);
    });

    test('with a delay of 0 goes behind what waits', async () => {
      const fleet = await openFleet(url(), options);
      const { docket, probe } = fleet;
      for (const [key, until] of [
        ['a', 2],
        ['b', 1],
        ['c', 1],
      ] as const) {
        await docket.add('atOnce', { probe, until }, { key });
      }
      await fleet.worker({ threads, concurrency: 1 });
      await waitFor(async () => (await fleet.steps()).length === 4);
      const order = (await fleet.steps()).map((step) => step.split(' ').slice(0, 2).join(' '));
      expect(order).toEqual(['a 1', 'b 1', 'c 1', 'a 2']);
    });
  });

  const shared = shareWorker(url, { threads });

  test('keeps its error and its count when it was the last one', async () => {
    const { fleet } = shared();
    const execution = await fleet.docket.add('atOnce', { probe: fleet.probe, until: 99 });
    await expect(execution.result()).rejects.toThrow('attempt 4 fails');
    await execution.sync();
    expect(execution).toMatchObject({ state: 'failed', attempt: 4, error: 'Error: attempt 4 fails' });
  });

  test('that was the last one cannot ask for another', async () => {
    const { fleet } = shared();
    const execution = await fleet.docket.add('askingAfter', { probe: fleet.probe }, { key: 'k' });
    await expect(execution.result()).rejects.toThrow('asked for another attempt');
    expect((await attempts(fleet, 'k')).map(({ attempt }) => attempt)).toEqual([1, 2]);
  });

  test('may be tried for ever', async () => {
    const { fleet } = shared();
    const execution = await fleet.docket.add('forEver', { probe: fleet.probe, until: 30 });
    expect(await execution.result()).toBe(30);
  });

  test('that succeeds in the end leaves no error behind', async () => {
    const { fleet } = shared();
    const execution = await fleet.docket.add('atOnce', { probe: fleet.probe, until: 3 });
    expect(await execution.result()).toBe(3);
    await execution.sync();
    expect(execution).toMatchObject({ state: 'completed', attempt: 3, error: null });
  });

  test('leaves its execution scheduled until the next, with the new due time', async () => {
    const { fleet } = shared();
    const at = new Date(Date.now() + 2_500);
    const execution = await fleet.docket.add('askingAt', { probe: fleet.probe, at }, { key: 'k' });
    await waitFor(async () => {
      await execution.sync();
      return execution.state === 'scheduled';
    });
    expect(Math.abs(execution.when.getTime() - at.getTime())).toBeLessThan(2_000);
    const when = (await execution.result()) as Date;
    expect(Math.abs(when.getTime() - at.getTime())).toBeLessThan(2_000);
  });
});
