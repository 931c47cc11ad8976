/**
 * Connects to servers that have to be found, or whose credentials have to be asked for, before each attempt.
 *
 * Owns the rule that a failed attempt looks like a broken link: ioredis gives up a connection for good when its connector rejects.
 */
import { createConnection, Socket } from 'node:net';
import { connect as connectWithTls } from 'node:tls';
import type { AbstractConnector as Connector, RedisOptions } from 'ioredis';
import { tlsFor } from './first-answer.js';
import type { Login, ServerLocator } from './server-locator.js';
import type { Address } from './url.js';

type ConnectorClass = NonNullable<RedisOptions['Connector']>;

/**
 * Returns the class of a connector for one connection.
 * @param onLogin - called with the credentials of each attempt, before it begins
 */
export function connectorFor(
  Base: typeof Connector,
  locator: ServerLocator,
  onLogin: (login: Login) => void,
): ConnectorClass {
  return class extends Base {
    #search = new AbortController();
    readonly #disconnectTimeoutMs: number;
    /** Shows an error to the owner of the connection. */
    #report: (error: Error) => void = () => {};

    constructor(options: unknown) {
      const { disconnectTimeout = 2_000 } = options as RedisOptions;
      super(disconnectTimeout);
      this.#disconnectTimeoutMs = disconnectTimeout;
    }

    override async connect(emit: (type: string, error: Error) => void): Promise<Socket> {
      this.connecting = true;
      this.#report = (error) => emit('error', error);
      this.#search = new AbortController();
      const { signal } = this.#search;
      try {
        onLogin(await locator.login(signal));
        const address = await locator.find(signal);
        signal.throwIfAborted();
        const stream = streamTo(address, locator);
        this.stream = stream;
        stream.once('error', (error) => {
          this.firstError = error;
        });
        return stream;
      } catch (error) {
        if (signal.aborted) throw new Error('Connection is closed.'); // it was closed on purpose, so ioredis must give up
        this.firstError = error as Error;
        const failed = new Socket();
        failed.destroy();
        this.stream = failed;
        return failed;
      }
    }

    /** Refuses a master that has become a replica since it was found. */
    override check({ role }: { readonly role?: string }): boolean {
      const isRight = !locator.findsMaster || role === undefined || role === 'master';
      if (!isRight) this.#report(new Error('it is a replica now: its master is looked for again'));
      return isRight;
    }

    override disconnect(): void {
      this.#search.abort();
      this.connecting = false;
      const { stream } = this;
      if (!stream || stream.destroyed) return;
      const timer = setTimeout(() => stream.destroy(), this.#disconnectTimeoutMs);
      stream.on('close', () => clearTimeout(timer));
      stream.end();
    }
  };
}

function streamTo(target: Address | { readonly path: string }, { family, tls }: ServerLocator): Socket {
  if ('path' in target) return createConnection(target);
  const address = { ...target, ...(family && { family }) };
  return tls ? connectWithTls({ ...address, ...tlsFor(target, tls) }) : createConnection(address);
}
