/** `docket partitions` as an operator meets it. */
import { expect, test } from 'vitest';
import { type Fleet, openFleet } from '../support/fleet.js';
import { keyIn, keysOfAll } from '../support/partitions.js';
import { runDocket } from '../support/shell.js';
import { describeOnRedis } from '../support/suites.js';

describeOnRedis('docket partitions', (url) => {
  const run = (fleet: Fleet, ...args: string[]) =>
    runDocket(['partitions', ...args, '--url', fleet.url, '--docket', fleet.name]);

  test('shows the one that every docket has, and changes their number with work in the queue', async () => {
    const fleet = await openFleet(url());
    await fleet.docket.add('echo', {});
    expect(JSON.parse((await run(fleet, '--json')).output)).toMatchObject({
      partitions: 1,
      version: null,
      all: [{ number: 0, tag: '', totals: { queued: 1 }, problem: null }],
    });
    const { code, output } = await run(fleet, '4');
    expect(code).toBe(0);
    expect(output).toMatch(/^4 partitions\n/);
    for (const tag of ['', '/1', '/2', '/3']) expect(output).toContain(`{${fleet.name}${tag}}`);
    await fleet.docket.add('echo', {}, { key: keyIn(3, 4), when: '1h' });
    const shown = JSON.parse((await run(fleet, '--json')).output);
    expect(shown.all.map(({ totals }: { totals: object }) => totals)).toMatchObject([
      { queued: 1, scheduled: 0 },
      {},
      {},
      { queued: 0, scheduled: 1 },
    ]);
    await fleet.docket.clear();
  });

  test('refuses what is in the way in one line, unless it is forced, and then says what is drained', async () => {
    const fleet = await openFleet(url());
    await run(fleet, '2');
    const key = keyIn(1, 2);
    await fleet.docket.add('echo', {}, { key });
    const refused = await run(fleet, '1');
    expect([refused.code, refused.output, refused.errors.split('\n').length]).toEqual([1, '', 2]);
    expect(refused.errors).toContain(`under the key '${key}'`);
    expect(refused.errors).toContain('--force');
    const { partitions, all } = JSON.parse((await run(fleet, '1', '--force', '--json')).output);
    expect(partitions).toBe(1);
    expect(all).toMatchObject([
      { number: 0, tag: '' },
      { number: null, tag: '1', totals: { queued: 1 } },
    ]);
    expect((await run(fleet)).output).toContain('drained');
    await fleet.docket.cancel(key);
    expect((await run(fleet, '1')).output).not.toContain('drained');
    expect(await fleet.redis.hlen(keysOfAll(fleet.name, 1)[0]!.layout)).toBe(3);
  });

  test.each(['0', '257', '100000', '1.5', 'many', '99999999999999999999'])(
    'refuses the number %s in one line',
    async (number) => {
      const fleet = await openFleet(url());
      const { code, output, errors } = await run(fleet, number);
      expect([code, output]).toEqual([2, '']);
      expect(errors).toBe(`docket: number: expected a whole number from 1 to 256, got '${number}'\n`);
    },
  );

  test('exits with 1 when a partition cannot be used, after it has shown the others', async () => {
    const fleet = await openFleet(url());
    await run(fleet, '2');
    const { work } = keysOfAll(fleet.name, 2)[1]!;
    await fleet.redis.set(work, 'no stream');
    const { code, output, errors } = await run(fleet);
    expect([code, errors]).toEqual([1, '']);
    expect(output).toMatch(/^partition 1 is down: /m);
    const json = await run(fleet, '--json');
    expect(json.code).toBe(1);
    expect(JSON.parse(json.output).all).toMatchObject([
      { number: 0, totals: { queued: 0 }, problem: null },
      { number: 1, totals: null },
    ]);
    await fleet.redis.del(work);
    expect((await run(fleet)).code).toBe(0);
  });

  test('refuses --force without a number', async () => {
    const fleet = await openFleet(url());
    const { code, errors } = await run(fleet, '--force');
    expect([code, errors]).toEqual([2, 'docket: --force: give a number of partitions, too\n']);
  });
});
