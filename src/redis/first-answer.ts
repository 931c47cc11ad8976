/**
 * Asks several servers the same question, and returns the first answer.
 *
 * Owns the rule that a server which does not answer causes no long delay: the next server is asked as soon as the one before has
 * failed, or has not answered for a quarter of a second.
 */
import { isIP } from 'node:net';
import type { Redis } from 'ioredis';
import type { TlsOptions } from '../core/server-connection.js';
import type { Address } from './url.js';

/** How long to wait for an answer before the next server is asked, too. */
const ASK_NEXT_AFTER_MS = 250;
/** How long a server may take to answer. */
const ANSWER_MS = 3_000;

/** How servers are reached, and as which user. */
export interface Access {
  /** `null` for no TLS. */
  readonly tls: TlsOptions | null;
  readonly family: 4 | 6 | undefined;
  readonly username?: string;
  readonly password?: string;
}

/** Why a server gave no answer. */
export interface Problem {
  readonly address: Address;
  readonly error: Error;
}

/** Thrown when no server gave an answer. */
export class NoAnswerError extends Error {
  constructor(readonly problems: readonly Problem[]) {
    super('no server answers');
  }
}

/**
 * @param ask - asks one server, until the signal aborts; rejects when it has no answer
 * @throws NoAnswerError when none has an answer
 * @throws the reason of `signal` when that aborts
 */
export async function firstAnswer<T>(
  addresses: readonly Address[],
  ask: (address: Address, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { signal: over.signal });
      const problems: Problem[] = [];
      let asked = 0;
      const askNext = () => {
        clearTimeout(timer);
        const address = addresses[asked];
        if (address === undefined) return;
        asked += 1;
        timer = setTimeout(askNext, ASK_NEXT_AFTER_MS);
        ask(address, over.signal).then(resolve, (error: Error) => {
          problems.push({ address, error });
          if (problems.length === addresses.length) reject(new NoAnswerError(problems));
          else askNext();
        });
      };
      askNext();
    });
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

/** Connects to one server, and asks it. */
export async function askServer<T>(
  address: Address,
  { family, username, password, tls }: Access,
  { ask, signal }: { readonly ask: (redis: Redis) => Promise<T>; readonly signal: AbortSignal },
): Promise<T> {
  const { default: ioredis } = await import('ioredis');
  const redis = new ioredis.Redis({
    ...address,
    ...(family && { family }),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: tlsFor(address, tls) }),
    connectionName: 'docket:search',
    connectTimeout: ANSWER_MS,
    disableClientInfo: true,
    enableReadyCheck: false,
    lazyConnect: true,
    retryStrategy: null,
  });
  let problem: Error | undefined;
  const giveUp = () => redis.disconnect();
  redis.on('error', (error: Error) => {
    problem ??= error;
  });
  const timer = setTimeout(() => {
    problem ??= Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' });
    giveUp();
  }, ANSWER_MS);
  signal.addEventListener('abort', giveUp);
  try {
    await redis.connect();
    return await ask(redis);
  } catch (error) {
    throw problem ?? error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', giveUp);
    redis.disconnect();
  }
}

/** Returns the TLS options for one server. Its host is the server name, unless the options have one or the host is an address. */
export function tlsFor({ host }: Address, tls: TlsOptions): TlsOptions {
  return tls.servername === undefined && isIP(host) === 0 ? { ...tls, servername: host } : tls;
}
