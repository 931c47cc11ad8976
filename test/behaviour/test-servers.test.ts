/** The servers that the tests start. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { REDIS_BINARY } from '../support/redis-binary.js';
import { redisProcess } from '../support/servers.js';

test.skipIf(REDIS_BINARY === null)('a server whose port is taken is reported at once, with what it wrote', async () => {
  const other = createServer();
  await once(other.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void other.close());
  const server = redisProcess(['--bind', '127.0.0.1', '--port', String((other.address() as AddressInfo).port)]);
  await expect(server.start()).rejects.toThrow(/did not start:.*in use/s);
  await server.kill();
});
