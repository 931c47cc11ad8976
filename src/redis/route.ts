/** The way to the server of a target: where it is, as which user, and with which TLS. */

import { assertNever } from '../core/assert.js';
import type { Credential, ServerConnectionOptions, TlsOptions } from '../core/server-connection.js';
import type { Access } from './first-answer.js';
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

export interface Route {
  /** `null` for no TLS. */
  readonly tls: TlsOptions | null;
  readonly family: 4 | 6 | undefined;
  /** Whether a server that is no master is the wrong one, so that it is looked for again. */
  readonly leadsToMaster: boolean;
  /** Whether user name and password are the same each time. */
  readonly hasFixedLogin: boolean;
  /** Asks for user name and password. Rejects as their functions do. */
  login(): Promise<Login>;
  /** Finds out where the server is now. */
  find(signal: AbortSignal): Promise<Address | { readonly path: string }>;
  /** Learns from a reply where the server is now. */
  learn(address: Address): void;
}

/**
 * @param key - a key of the docket, by which a cluster finds the master; '' where there is no docket
 * @param secrets - learns what must not be shown
 */
export function routeTo(
  target: RemoteTarget,
  settings: ServerConnectionOptions,
  { key, secrets }: { readonly key: string; readonly secrets: Secrets },
): Route {
  const username = settings.username ?? target.username;
  const password = settings.password ?? target.password;
  const tls = tlsOf(target, settings);
  const { family } = settings;
  const search = searchFor(target, settings, key);
  const login = () => loginOf({ username, password, secrets });
  const askAs = async (): Promise<Access> => {
    if (target.kind !== 'sentinel') return { tls, family, ...(await login()) };
    const { sentinelUsername, sentinelPassword, sentinelTls = tls !== null } = settings;
    const asSentinelUser = await loginOf({ username: sentinelUsername, password: sentinelPassword, secrets });
    return { tls: sentinelTls ? (tls ?? settings.tls ?? {}) : null, family, ...asSentinelUser };
  };
  return {
    tls,
    family,
    leadsToMaster: search !== null,
    hasFixedLogin: typeof username !== 'function' && typeof password !== 'function',
    login,
    async find(signal) {
      if (search !== null) return await search.find(await askAs(), signal);
      return target.kind === 'socket' ? { path: target.path } : (target as ServerTarget);
    },
    learn: (address) => search?.learn(address),
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
  readonly secrets: Secrets;
}

async function loginOf({ username, password, secrets }: LoginSource): Promise<Login> {
  const login = {
    ...(username !== undefined && { username: await textOf(username, 'username') }),
    ...(password !== undefined && { password: await textOf(password, 'password') }),
  };
  secrets.learn(login);
  return login;
}

async function textOf(credential: Credential, name: string): Promise<string> {
  const value: unknown = typeof credential === 'function' ? await credential() : credential;
  if (typeof value === 'string') return value;
  throw new Error(`the function connection.${name} must return text, and returned ${typeof value}`);
}
