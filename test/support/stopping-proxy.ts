/** A way to a real server on which the answers to one kind of connection can be held up. */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface StoppingProxy {
  readonly url: string;
  /** From now on connections of this role (as CLIENT LIST names them), old and new, hear nothing more. */
  hold(role: 'blocking' | 'commands' | 'producer' | 'subscriber'): void;
  /** What was held up arrives, and all that follows. */
  release(): void;
  /** Breaks all connections. What was held up is lost. */
  cut(): void;
}

/** Opens the way to the server on this unix socket, until the test is over. */
export async function stoppingProxy(path: string, password = ''): Promise<StoppingProxy> {
  let held: string | null = null;
  const pause = new Set<() => void>();
  const resume = new Set<() => void>();
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    const upstream = dial(path);
    let role = '';
    const hold = () => {
      if (held !== null && held === role) upstream.pause();
    };
    socket.on('data', (data) => {
      role = /docket:(blocking|commands|subscriber|producer)/.exec(data.toString('latin1'))?.[1] ?? role;
      hold();
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      socket.write(data);
      hold();
    });
    const go = () => upstream.resume();
    pause.add(hold);
    resume.add(go);
    open.add(socket);
    for (const end of [socket, upstream]) {
      end.on('error', () => {});
      end.on('close', () => {
        pause.delete(hold);
        resume.delete(go);
        open.delete(socket);
        socket.destroy();
        upstream.destroy();
      });
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  const credentials = password === '' ? '' : `:${password}@`;
  return {
    url: `redis://${credentials}127.0.0.1:${(server.address() as AddressInfo).port}`,
    hold: (role) => {
      held = role;
      for (const stop of pause) stop();
    },
    release: () => {
      held = null;
      for (const go of resume) go();
    },
    cut: () => {
      held = null;
      for (const socket of open) socket.destroy();
    },
  };
}
