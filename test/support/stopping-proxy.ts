/** A way to a real server on which the answers to one kind of connection can be held up. */
import { onTestFinished } from 'vitest';
import { openRelay, type Role } from './relay.js';

export interface StoppingProxy {
  readonly url: string;
  /** From now on connections of this role (as CLIENT LIST names them), old and new, hear nothing more. */
  hold(role: Role): void;
  /** What was held up arrives, and all that follows. */
  release(): void;
  /** Breaks all connections. What was held up is lost. */
  cut(): void;
}

/** Opens the way to the server on this unix socket, until the test is over. */
export async function stoppingProxy(path: string, password = ''): Promise<StoppingProxy> {
  const relay = await openRelay(path);
  onTestFinished(() => relay.unlisten());
  const credentials = password === '' ? '' : `:${password}@`;
  return {
    url: `redis://${credentials}127.0.0.1:${relay.port}`,
    hold: (role) => relay.set({ kind: 'deaf' }, role),
    release: () => relay.set({ kind: 'open' }),
    cut: () => {
      relay.breakAll();
      relay.set({ kind: 'open' });
    },
  };
}
