/** One attempt to connect to a server that has to be found. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import ioredis from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { connectorFor } from '../../../src/redis/connector.js';
import type { Login, ServerLocator } from '../../../src/redis/server-locator.js';

interface Connector {
  connecting: boolean;
  firstError?: Error;
  connect(emit: (type: string, error: Error) => void): Promise<Socket>;
  check(info: { role?: string }): boolean;
  disconnect(): void;
}

function connector(overrides: Partial<ServerLocator>) {
  const steps: string[] = [];
  const locator: ServerLocator = {
    tls: null,
    family: undefined,
    findsMaster: true,
    hasFixedLogin: true,
    login: async () => ({ password: 'p' }),
    find: async () => Promise.reject(new Error('nobody knows it')),
    learn: () => {},
    found: null,
    ...overrides,
  };
  const onLogin = (login: Login) => void steps.push(`login ${JSON.stringify(login)}`);
  const Class = connectorFor(ioredis.AbstractConnector, locator, onLogin);
  const one = new Class({ disconnectTimeout: 50 }) as unknown as Connector;
  return { one, steps };
}

/** A server that accepts links. It ends its side of them only if it `ends`. */
async function listening({ ends = false } = {}) {
  const links: Socket[] = [];
  const server = createServer({ allowHalfOpen: !ends }, (socket) => {
    socket.on('error', () => {}).resume();
    links.push(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    for (const link of links) link.destroy();
    server.close();
  });
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

test('each attempt asks for the credentials, then for the address', async () => {
  const address = await listening();
  let password = 0;
  const { one, steps } = connector({
    login: async () => ({ password: String(++password) }),
    find: async () => {
      steps.push('find');
      return address;
    },
  });
  for (let i = 0; i < 2; i++) {
    const stream = await one.connect(() => {});
    await once(stream, 'connect');
    stream.destroy();
  }
  expect(steps).toEqual(['login {"password":"1"}', 'find', 'login {"password":"2"}', 'find']);
});

test.each([
  ['the master is not found', { find: () => Promise.reject(new Error('nobody knows it')) }],
  ['the credentials are not there', { login: () => Promise.reject(new Error('nobody knows it')) }],
])('an attempt at which %s looks like a broken link, so that there is another one', async (_, overrides) => {
  const { one } = connector(overrides);
  const stream = await one.connect(() => {});
  expect(stream.destroyed).toBe(true);
  expect(one.firstError?.message).toBe('nobody knows it');
});

test('an attempt that fails at the server keeps its first error', async () => {
  const address = await listening();
  const { one } = connector({ find: async () => address });
  const stream = await one.connect(() => {});
  const closed = new Promise((resolve) => stream.once('close', resolve));
  stream.destroy(new Error('reset'));
  await closed;
  expect(one.firstError?.message).toBe('reset');
});

test.each(['login', 'find'] as const)('a close during the %s of an attempt ends it for good', async (step) => {
  const begun = vi.fn();
  const untilAborted = (signal: AbortSignal) => {
    begun();
    return new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  };
  const { one } = connector(step === 'login' ? { login: untilAborted } : { find: untilAborted });
  const connecting = one.connect(() => {});
  await vi.waitFor(() => expect(begun).toHaveBeenCalled());
  one.disconnect();
  await expect(connecting).rejects.toThrow('Connection is closed.'); // which ioredis takes for the end
  expect(one.connecting).toBe(false);
});

test('an address that is found after the close is not connected to', async () => {
  const address = await listening();
  let found = (_: typeof address) => {};
  const finding = new Promise<typeof address>((resolve) => {
    found = resolve;
  });
  const { one } = connector({ find: () => finding });
  const connecting = one.connect(() => {});
  await new Promise((resolve) => setImmediate(resolve));
  one.disconnect();
  found(address);
  await expect(connecting).rejects.toThrow('Connection is closed.');
});

test('a link that the server does not end is cut after the close', async () => {
  const address = await listening();
  const { one } = connector({ find: async () => address });
  const stream = await one.connect(() => {});
  stream.resume();
  await once(stream, 'connect');
  one.disconnect();
  await once(stream, 'close');
  expect(stream.destroyed).toBe(true);
});

test('a link that the server ends leaves no timer', async () => {
  const address = await listening({ ends: true });
  const { one } = connector({ find: async () => address });
  const stream = await one.connect(() => {});
  stream.resume();
  await once(stream, 'connect');
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    one.disconnect();
    expect(vi.getTimerCount()).toBe(1);
    await once(stream, 'close');
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('a master that has become a replica is refused, and the reason is shown', async () => {
  const { one } = connector({});
  const report = vi.fn();
  await one.connect(report);
  expect([one.check({ role: 'master' }), one.check({}), one.check({ role: 'slave' })]).toEqual([true, true, false]);
  expect(report).toHaveBeenCalledExactlyOnceWith('error', expect.objectContaining({ message: expect.any(String) }));
  expect(connector({ findsMaster: false }).one.check({ role: 'slave' })).toBe(true);
});
