/** `docket ls --count`: whose work fills the queue, without showing what may be private. */
import { expect, test } from 'vitest';
import { type Fleet, fixture, openFleet } from '../support/fleet.js';
import { runDocket } from '../support/shell.js';
import { describeOnRedis } from '../support/suites.js';

describeOnRedis('docket ls --count', (url) => {
  const count = async (fleet: Fleet, ...args: string[]) => {
    const { code, output, errors } = await runDocket(['ls', ...args], {
      DOCKET_URL: fleet.url,
      DOCKET_NAME: fleet.name,
    });
    expect([code, errors]).toEqual([0, '']);
    return output;
  };

  /** Charges for later of two orders, so that nothing runs; the task names `orderId` in `logged`, and not `customer`. */
  async function withCharges(): Promise<Fleet> {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 1, tasks: fixture('dashboard.js') });
    fleet.leavesWork();
    for (const [n, orderId] of ['o-1', 'o-1', 'o-1', '2'].entries()) {
      await fleet.docket.add('charge', { orderId, customer: `secret-${n}` }, { when: '1h' });
    }
    return fleet;
  }

  test('counts by task, or by the value of an argument as --where takes it', async () => {
    const fleet = await withCharges();
    expect(await count(fleet, '--count')).toMatch(/│ executions │ task +│\n.*\n│ 4 +│ charge │/);
    const byOrder = await count(fleet, '--count', 'orderId');
    expect(byOrder).toMatch(/│ executions │ task +│ orderId │\n/);
    expect(byOrder).toMatch(/│ 3 +│ charge │ o-1 +│\n/);
    expect(byOrder).toMatch(/│ 1 +│ charge │ "2" +│\n/); // the text, not the number
    expect(await count(fleet, '--where', 'orderId=o-1', '--count')).toMatch(/│ 3 +│ charge │/);
    expect(await count(fleet, '--task', 'other', '--count')).toBe('there are no such executions\n');
  });

  test('shows values that the task does not log only on request', async () => {
    const fleet = await withCharges();
    for (const flags of [[], ['--json']]) {
      const hidden = await count(fleet, '--count', 'customer', ...flags);
      expect(hidden).not.toContain('secret');
    }
    const hidden = await count(fleet, '--count', 'customer');
    expect(hidden).toMatch(/│ 4 +│ charge │ \(4 values, not shown\) │\n/);
    expect(hidden).toMatch(/--show-arguments shows it\n$/);
    expect(await count(fleet, '--count', 'customer', '--show-arguments')).toContain('secret-3');
  });
});
