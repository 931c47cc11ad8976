/** A way to a real server on which the links of one role can be broken, or made slow. */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

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
  let cutRole: string | null = null;
  let narrowed: { readonly role: string; readonly bytesPerSecond: number } | null = null;
  const roles = new Map<Socket, string>();
  const server = createServer((socket) => {
    const upstream = dial(path);
    roles.set(socket, '');
    socket.on('data', (data) => {
      const role =
        /docket:(blocking|commands|subscriber|producer)/.exec(data.toString('latin1'))?.[1] ?? roles.get(socket)!;
      roles.set(socket, role);
      if (role === cutRole) socket.destroy();
      else upstream.write(data);
      if (narrowed?.role !== role) return;
      socket.pause();
      setTimeout(() => socket.resume(), (1_000 * data.length) / narrowed.bytesPerSecond);
    });
    upstream.pipe(socket);
    for (const end of [socket, upstream]) {
      end.on('error', () => {});
      end.on('close', () => {
        roles.delete(socket);
        socket.destroy();
        upstream.destroy();
      });
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: (role) => {
      cutRole = role;
      for (const [socket, other] of roles) if (other === role) socket.destroy();
    },
    narrow: (role, bytesPerSecond) => {
      narrowed = { role, bytesPerSecond };
    },
    mend: () => {
      cutRole = null;
      narrowed = null;
    },
  };
}
