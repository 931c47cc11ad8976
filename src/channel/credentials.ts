/**
 * Lets threads connect with credentials that only a function of the coordinator knows. Functions cannot be sent to a thread,
 * so the thread asks for their values over a port of its own, before each attempt to connect.
 */
import type { MessagePort } from 'node:worker_threads';
import { CREDENTIALS, type CredentialName, type ServerConnectionOptions } from '../core/server-connection.js';

/** Options without functions, and the names of the credentials to ask for. */
export interface SentConnection {
  readonly options: ServerConnectionOptions;
  readonly asked: readonly CredentialName[];
}

interface Answer {
  readonly number: number;
  readonly value: string | null;
  /** Why there is none. */
  readonly problem: string;
}

/** Returns the options as they can be sent to a thread. */
export function sentConnection(options: ServerConnectionOptions): SentConnection {
  const asked = CREDENTIALS.filter((name) => typeof options[name] === 'function');
  const sent: Record<string, unknown> = { ...options };
  for (const name of asked) delete sent[name];
  return { options: sent, asked };
}

/** Answers a thread. It may ask for nothing but the credentials that are functions. */
export function answerCredentials(port: MessagePort, options: ServerConnectionOptions): void {
  port.on('message', async (question: unknown) => {
    const { name, number } = (question ?? {}) as { name?: CredentialName; number?: number };
    const ask = CREDENTIALS.includes(name!) ? options[name!] : undefined;
    if (typeof ask !== 'function' || typeof number !== 'number') return;
    try {
      const value: unknown = await ask();
      if (typeof value !== 'string') throw new Error(`it must return text, and returned ${typeof value}`);
      port.postMessage({ number, value, problem: '' } satisfies Answer);
    } catch (error) {
      port.postMessage({
        number,
        value: null,
        problem: error instanceof Error ? error.message : String(error),
      } satisfies Answer);
    }
  });
  port.unref();
}

/** Returns the options in the thread, with functions that ask the coordinator. */
export function receivedConnection({ options, asked }: SentConnection, port: MessagePort): ServerConnectionOptions {
  const waiting = new Map<number, (answer: Answer) => void>();
  let last = 0;
  port.on('message', (answer: Answer) => {
    waiting.get(answer.number)?.(answer);
    waiting.delete(answer.number);
  });
  port.unref();
  const ask = (name: CredentialName) => () =>
    new Promise<string>((resolve, reject) => {
      const number = ++last;
      waiting.set(number, ({ value, problem }) => {
        if (value === null) reject(new Error(problem));
        else resolve(value);
      });
      port.postMessage({ name, number });
    });
  return { ...options, ...Object.fromEntries(asked.map((name) => [name, ask(name)])) };
}
