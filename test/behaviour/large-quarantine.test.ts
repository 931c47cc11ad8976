/** A large message that nobody can read is put away without going over the network once more. */
import { expect, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeOnRedis('a large message that cannot be read', (url) => {
  test('is kept whole, and is not sent back to Redis for that', async () => {
    const fleet = await openFleet(url());
    const { redis } = fleet;
    const message = Buffer.alloc(8_000_000, 0xc1);
    const receivedBytes = async () => Number(/total_net_input_bytes:(\d+)/.exec(await redis.info('stats'))![1]);
    await redis.callBuffer('XADD', [fleet.key('work'), '*', 'm', message]);
    const before = await receivedBytes();
    await fleet.worker({ threads: 0 });
    await waitFor(async () => (await redis.xlen(fleet.key('failures'))) === 1);
    expect(await receivedBytes()).toBeLessThan(before + message.length / 2);
    const [, fields] = (await redis.xrangeBuffer(fleet.key('failures'), '-', '+'))[0]!;
    const at = fields.findIndex((field) => field.toString('latin1') === 'message');
    expect(fields[at + 1]!.equals(message)).toBe(true);
    expect(await (await fleet.docket.add('echo', { value: 'still here' })).result()).toBe('still here');
  });
});
