/** A way to a real server whose far end can go away while connections are still accepted, or refused. */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/**
 * How a new connection is treated.
 *
 * - `silent`: it is accepted and never answered
 * - `loading`: every command is answered with the error of a server that reads its data
 * - `not ready`: the handshake is answered, and INFO says that the server reads its data
 * - `hung up`: it is accepted and closed, as by a load balancer without a backend
 * - `refused`: nothing listens
 */
export const CONDITIONS = ['silent', 'loading', 'not ready', 'hung up', 'refused'] as const;

export type Condition = (typeof CONDITIONS)[number];

export interface UnreadyProxy {
  readonly url: string;
  /** Breaks all links. From now on new ones meet this condition. */
  become(condition: Condition): Promise<void>;
  /** Lets connections reach the server again. */
  recover(): Promise<void>;
}

/** Opens the way to the server on this unix socket, until the test is over. */
export async function unreadyProxy(path: string): Promise<UnreadyProxy> {
  let condition: Condition | null = null;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    if (condition === null) pass(socket, path);
    else meet(socket, condition);
  });
  const listen = (port: number) => once(server.listen(port, '127.0.0.1'), 'listening');
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    const closed = server.listening ? once(server, 'close') : null;
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  onTestFinished(close);
  return {
    url: `redis://127.0.0.1:${port}`,
    become: async (next) => {
      condition = next;
      if (next === 'refused') return await close();
      for (const socket of sockets) socket.destroy();
    },
    recover: async () => {
      condition = null;
      if (!server.listening) await listen(port);
      for (const socket of sockets) socket.destroy();
    },
  };
}

function pass(socket: Socket, path: string): void {
  const upstream = dial(path);
  upstream.on('error', () => {}).on('close', () => socket.destroy());
  socket.on('close', () => upstream.destroy());
  socket.pipe(upstream).pipe(socket);
}

const LOADING = 'loading:1\r\nloading_eta_seconds:1\r\n';

function meet(socket: Socket, condition: Condition): void {
  if (condition === 'hung up') socket.end();
  if (condition === 'silent' || condition === 'hung up') return void socket.resume();
  socket.on('data', (data) => {
    for (const [, name] of data.toString('latin1').matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) {
      if (condition === 'loading') socket.write('-LOADING Redis is loading the dataset in memory\r\n');
      else if (name!.toLowerCase() === 'info') socket.write(`$${LOADING.length}\r\n${LOADING}\r\n`);
      else socket.write('+OK\r\n');
    }
  });
}
