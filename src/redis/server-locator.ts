/** Finds the server of a target, and asks for the credentials to use there. */

import { assertNever } from '../core/assert.js';
import type { Credential, ServerConnectionOptions, TlsOptions } from '../core/server-connection.js';
import { aborted, within } from '../core/service.js';
import type { Access } from './first-answer.js';
import { addressText } from './master-replies.js';
import { ClusterSearch, type MasterSearch, SentinelSearch } from './master-search.js';
import type { Secrets } from './secrets.js';
import type { Address, ClusterTarget, SentinelTarget, ServerTarget, SocketTarget } from './url.js';

/** A target whose server is another process. */
export type RemoteTarget = ServerTarget | SocketTarget | SentinelTarget | ClusterTarget;

/** User name and password of one attempt to connect. */
export interface Login {
  readonly username?: string;
  readonly password?: string;
}

export interface ServerLocator {
  /** `null` for no TLS. */
  readonly tls: TlsOptions | null;
  readonly family: 4 | 6 | undefined;
  /** Whether it finds a master. If the server turns out to be a replica, the master is looked for again. */
  readonly findsMaster: boolean;
  /** Whether user name and password never change. */
  readonly hasFixedLogin: boolean;
  /**
   * Asks for user name and password.
   * @throws an error that names the function which fails, or does not answer in time
   * @throws the reason of `signal` when that aborts
   */
  login(signal: AbortSignal): Promise<Login>;
  /** Finds out where the server is now. */
  find(signal: AbortSignal): Promise<Address | { readonly path: string }>;
  /** Learns from a reply where the server is now. */
  learn(address: Address): void;
  /** The address of the master that the last search found; `null` where none was found, or the URL has the address. */
  readonly found: string | null;
}

export interface LocatorOptions {
  /** A key of the docket, which tells its master in a cluster; '' where there is no docket. */
  readonly key: string;
  /** Remembers the credentials, so that no error shows them. */
  readonly secrets: Secrets;
  /** How long a function that returns a credential may take. */
  readonly timeoutMs: number;
}

export function locatorFor(
  target: RemoteTarget,
  settings: ServerConnectionOptions,
  { key, secrets, timeoutMs }: LocatorOptions,
): ServerLocator {
  const username = settings.username ?? target.username;
  const password = settings.password ?? target.password;
  const tls = tlsOf(target, settings);
  const { family } = settings;
  const search = searchFor(target, settings, key);
  let found: string | null = null;
  const ask = async (source: LoginSource, signal: AbortSignal) => {
    const asked = await loginOf(source, { signal, timeoutMs });
    secrets.learn(asked);
    return asked;
  };
  const login = (signal: AbortSignal) => ask({ username, password }, signal);
  const askAs = async (signal: AbortSignal): Promise<Access> => {
    if (target.kind !== 'sentinel') return { tls, family, ...(await login(signal)) };
    const { sentinelUsername, sentinelPassword, sentinelTls = tls !== null } = settings;
    const asSentinelUser = await ask({ username: sentinelUsername, password: sentinelPassword }, signal);
    return { tls: sentinelTls ? (tls ?? settings.tls ?? {}) : null, family, ...asSentinelUser };
  };
  return {
    tls,
    family,
    findsMaster: search !== null,
    hasFixedLogin: typeof username !== 'function' && typeof password !== 'function',
    login,
    async find(signal) {
      found = null;
      if (search !== null) {
        const address = await search.find(await askAs(signal), signal);
        found = addressText(address);
        return address;
      }
      return target.kind === 'socket' ? { path: target.path } : (target as ServerTarget);
    },
    learn: (address) => search?.learn(address),
    get found() {
      return found;
    },
  };
}

function searchFor(target: RemoteTarget, { natMap = {} }: ServerConnectionOptions, key: string): MasterSearch | null {
  const translate = (address: Address) => natMap[`${address.host}:${address.port}`] ?? address;
  switch (target.kind) {
    case 'server':
    case 'socket':
      return null;
    case 'sentinel':
      return new SentinelSearch(target.sentinels, target.master, translate);
    case 'cluster':
      return new ClusterSearch(target.seeds, key, translate);
    default:
      return assertNever(target);
  }
}

function tlsOf(target: RemoteTarget, settings: ServerConnectionOptions): TlsOptions | null {
  const ofTarget = target.kind === 'socket' ? undefined : target.tls;
  return ofTarget === undefined ? null : { ...ofTarget, ...settings.tls };
}

interface LoginSource {
  readonly username: Credential | undefined;
  readonly password: Credential | undefined;
}

interface AnswerLimits {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

async function loginOf({ username, password }: LoginSource, limits: AnswerLimits): Promise<Login> {
  return {
    ...(username !== undefined && { username: await textOf(username, 'username', limits) }),
    ...(password !== undefined && { password: await textOf(password, 'password', limits) }),
  };
}

async function textOf(credential: Credential, name: string, { signal, timeoutMs }: AnswerLimits): Promise<string> {
  if (typeof credential === 'string') return credential;
  try {
    const answering = Promise.resolve(credential()).then((value: unknown) => ({ value }));
    const answer = await Promise.race([within(answering, timeoutMs), aborted(signal)]);
    signal.throwIfAborted();
    if (!answer) throw new Error(`it has not answered within ${timeoutMs} ms`);
    if (typeof answer.value === 'string') return answer.value;
    throw new Error(`it must return text, and returned ${typeof answer.value}`);
  } catch (error) {
    signal.throwIfAborted();
    const problem = error instanceof Error ? error.message : String(error);
    throw new Error(`the function connection.${name} failed: ${problem}`);
  }
}
