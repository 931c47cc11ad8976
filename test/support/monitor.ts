/**
 * Hears of every command that a server executes. ioredis fails when commands arrive right behind the reply to MONITOR, so this
 * reads the lines itself.
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

export interface HeardCommand {
  /** The command and its arguments, as text. */
  readonly args: readonly string[];
  /** Whether a script sent it. */
  readonly isOfScript: boolean;
}

/**
 * Calls `hear` for each command from now on, until the test is over.
 * @param url - of a server: `unix:///path`, or `redis://host:port`
 * @returns a function that ends it
 */
export async function monitor(url: string, hear: (command: HeardCommand) => void): Promise<() => void> {
  const { protocol, pathname, hostname, port } = new URL(url);
  const socket = protocol === 'unix:' ? connect(pathname) : connect(Number(port), hostname);
  const stop = () => void socket.destroy();
  onTestFinished(stop);
  const lines = createInterface({ input: socket });
  const started = new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    lines.once('line', () => {
      lines.on('line', (line) => hear(commandOf(line)));
      resolve();
    });
  });
  socket.write('MONITOR\r\n');
  await started;
  return stop;
}

/** Reads `+<time> [<database> <address or lua>] "<command>" "<argument>" ...`. */
function commandOf(line: string): HeardCommand {
  const args = Array.from(line.matchAll(/"((?:[^"\\]|\\.)*)"/g), ([, text]) => text!.replaceAll(/\\(["\\])/g, '$1'));
  return { args, isOfScript: /^\S+ \[\d+ lua\]/.test(line) };
}
