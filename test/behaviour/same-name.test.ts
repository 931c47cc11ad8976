/** Workers may have one name: docket tells them apart by more than that. */
import { expect, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

/** Long enough for a busy machine. */
const LEASE = '3s';

describeOnRedis('two workers of one name', (url) => {
  test('are told apart: what the one that died ran is delivered again, and what the other one runs is not', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const flags = ['--name', 'twin', '--threads', '1', '--concurrency', '1', '--redelivery-timeout', LEASE];
    const twins = [fleet.command(flags), fleet.command(flags)];
    await Promise.all(twins.map((twin) => twin.ready()));
    const executions = await Promise.all(['x', 'y'].map((key) => docket.add('whoEnds', { probe }, { key })));
    await waitFor(async () => (await fleet.steps()).length === 2); // one on each, since neither takes two

    twins[0]!.process.kill('SIGKILL');
    await twins[0]!.ended;
    const { worker } = await fleet.worker({ redeliveryTimeout: LEASE });
    await waitFor(async () => (await fleet.steps()).length === 3);
    await fleet.release();
    const results = await Promise.all(executions.map((execution) => execution.result()));
    expect(results).toContainEqual({ worker: 'twin', redelivered: false });
    expect(results).toContainEqual({ worker: worker.name, redelivered: true });
    expect((await fleet.steps()).filter((step) => step.startsWith('start'))).toHaveLength(3);
  });
});
