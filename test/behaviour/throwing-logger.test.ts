/** A logger that throws loses lines, and nothing else. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { fixture, openFleet } from '../support/fleet.js';
import { describeEachMode } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const HOSTILE = fixture('hostile.js');

describeEachMode('a worker whose logger throws', (url, threads) => {
  test('runs and settles everything, and warns once', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    onTestFinished(() => void vi.restoreAllMocks());
    const fleet = await openFleet(url());
    let isReady = false;
    const fail = () => {
      throw new Error('the disk is full');
    };
    const info = (...line: unknown[]) => {
      isReady ||= / is ready$/.test(String(line.at(-1)));
      fail();
    };
    const logger = { debug: fail, info, warn: fail, error: fail };
    const starting = fleet.worker({ tasks: HOSTILE, threads, maxDeliveries: 1, logger });
    starting.catch(() => {});
    await waitFor(() => isReady);
    const add = (task: string, args: object = {}) => fleet.docket.add(task, args);
    expect(await (await add('works', { value: 1 })).result()).toBe(1);
    expect(await (await add('logsOddly')).result()).toBe('done');
    await expect((await add('fail')).result()).rejects.toThrow();
    if (threads > 0) {
      const culprit = await add('dies', { how: 'a timer' });
      await expect(culprit.result()).rejects.toMatchObject({ code: 'DOCKET_POISONED' });
    }
    expect(await (await add('works', { value: 2 })).result()).toBe(2);
    expect(warnings.mock.calls.filter(([text]) => String(text).includes('the disk is full'))).toHaveLength(1);
  });
});
