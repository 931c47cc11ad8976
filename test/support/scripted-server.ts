/** A server for tests that speaks the protocol of Redis and gives scripted replies. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** Text, a list of replies, or an error. */
export type Reply = string | number | Error | readonly Reply[];

export interface ScriptedServer {
  readonly host: string;
  readonly port: number;
  /** The commands that came, each as one line. */
  readonly commands: string[];
}

/** Starts it, until the test is over. `reply` returns the reply to one command; `undefined` is answered with OK. */
export async function scriptedServer(reply: (...command: string[]) => Reply | undefined): Promise<ScriptedServer> {
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (data) => {
      text += data;
      for (let command = take(); command; command = take()) {
        commands.push(command.join(' '));
        socket.write(encoded(reply(...command) ?? 'OK'));
      }
    });
    /** Takes the next command off the text: `*2`, then for each part its length and itself. */
    const take = (): string[] | null => {
      const count = Number(/^\*(\d+)\r\n/.exec(text)?.[1] ?? Number.NaN);
      const lines = text.split('\r\n');
      if (Number.isNaN(count) || lines.length < 2 + 2 * count) return null;
      text = lines.slice(1 + 2 * count).join('\r\n');
      return lines.slice(1, 1 + 2 * count).filter((_, i) => i % 2 === 1);
    };
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, commands };
}

function encoded(reply: Reply): string {
  if (reply instanceof Error) return `-${reply.message}\r\n`;
  if (typeof reply === 'number') return `:${reply}\r\n`;
  if (typeof reply === 'string') return `$${Buffer.byteLength(reply)}\r\n${reply}\r\n`;
  return `*${reply.length}\r\n${reply.map(encoded).join('')}`;
}
