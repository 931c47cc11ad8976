/** A way to a real server on which the links of one role can be broken, or made slow. */
import { onTestFinished } from 'vitest';
import { openRelay } from './relay.js';

export interface FaultyProxy {
  readonly url: string;
  /** Breaks all connections of this role (as CLIENT LIST names them), and each new one. */
  cut(role: 'blocking' | 'commands'): void;
  /** From now on connections of this role send no more than this to the server, each. */
  narrow(role: 'blocking' | 'commands', bytesPerSecond: number): void;
  /** From now on all connections work. */
  mend(): void;
}

/** Opens the way to the server on this unix socket, until the test is over. */
export async function faultyProxy(path: string): Promise<FaultyProxy> {
  const relay = await openRelay(path);
  onTestFinished(() => relay.unlisten());
  return {
    url: `redis://127.0.0.1:${relay.port}`,
    cut: (role) => relay.set({ kind: 'cut' }, role),
    narrow: (role, bytesPerSecond) => relay.set({ kind: 'narrow', bytesPerSecond }, role),
    mend: () => relay.set({ kind: 'open' }),
  };
}
