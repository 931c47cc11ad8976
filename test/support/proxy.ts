/** A way to a real server on which subscriptions can be held up. */

import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import { onTestFinished } from 'vitest';
import { deferred } from './wait.js';

export interface HoldingProxy {
  readonly url: string;
  /** From now on no SUBSCRIBE arrives; none that names this channel, when one is given. */
  hold(channel?: string): void;
  /** Resolves when the first one was held up. */
  readonly held: Promise<void>;
  /** Lets those through that were held up, and all others. */
  release(): void;
}

/** Opens the way to the server on this unix socket, until the test is over. */
export async function holdingProxy(path: string): Promise<HoldingProxy> {
  const held = deferred();
  const waiting: (() => void)[] = [];
  let isHolding = false;
  let heldChannel = '';
  const server = createServer((socket) => {
    const upstream = dial(path);
    let isHeld = false;
    socket.on('data', (data) => {
      if (isHolding && data.includes('subscribe\r\n') && data.includes(heldChannel)) {
        isHeld = true;
        held.resolve();
      }
      if (isHeld && isHolding)
        waiting.push(() => upstream.write(data)); // with all that follows it
      else upstream.write(data);
    });
    upstream.pipe(socket);
    for (const end of [socket, upstream]) {
      end.on('error', () => {});
      end.on('close', () => [socket, upstream].map((other) => other.destroy()));
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hold: (channel = '') => {
      isHolding = true;
      heldChannel = channel;
    },
    held: held.promise,
    release: () => {
      isHolding = false;
      for (const pass of waiting.splice(0)) pass();
    },
  };
}
