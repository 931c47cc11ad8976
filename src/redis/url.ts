/**
 * Parses the URLs of servers. Owns the rule that no password ever reaches an error text: every message shows the URL
 * through `maskUrl`, and quotes no part of it that could be a misplaced password.
 */

import { isIP, isIPv6 } from 'node:net';
import { InvalidOptionError } from '../core/errors.js';

/** User name and password. Both are absent when the URL has none. */
export interface RedisCredentials {
  readonly username?: string;
  readonly password?: string;
}

/** A server that is reached over TCP. `tls` is present for `rediss://` and `valkeys://`. */
export interface ServerTarget extends RedisCredentials {
  readonly kind: 'server';
  readonly host: string;
  readonly port: number;
  readonly db: number;
  /** `servername` is the name sent to the server (SNI); it is absent for plain addresses. */
  readonly tls?: { readonly servername?: string };
}

/** A server on this machine that is reached over a unix socket. */
export interface SocketTarget extends RedisCredentials {
  readonly kind: 'socket';
  readonly path: string;
  readonly db: number;
}

/** The server embedded in this process under a name. */
export interface MemoryTarget {
  readonly kind: 'memory';
  readonly name: string;
}

/** The host and port of one process. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A master that sentinels know by a name. `tls` is present when the servers and the sentinels are reached with TLS. */
export interface SentinelTarget extends RedisCredentials {
  readonly kind: 'sentinel';
  readonly sentinels: readonly Address[];
  readonly master: string;
  readonly db: number;
  readonly tls?: {};
}

/** A cluster, named by some of its nodes. It has database 0 only. */
export interface ClusterTarget extends RedisCredentials {
  readonly kind: 'cluster';
  readonly seeds: readonly Address[];
  readonly db: 0;
  readonly tls?: {};
}

/** The server that a URL names. */
export type RedisTarget = ServerTarget | SocketTarget | MemoryTarget | SentinelTarget | ClusterTarget;

/** Whether a URL names a cluster, whose masters share the partitions of a docket. */
export function isClusterUrl(url: string): boolean {
  return /^[a-z]+\+cluster:/i.test(url);
}

/**
 * Parses the URL of a Redis or Valkey server.
 *
 * Accepted are `redis://user:password@host:6379/0`, `valkey://` (the same), `rediss://` and `valkeys://` (with TLS, as
 * `redis://host?ssl=true` is), `unix:///path/to.sock?db=0` and `memory://name`, as well as
 * `redis+sentinel://user:password@host1:26379,host2:26379/master/0` and `redis+cluster://user:password@host1:7000,host2:7001`
 * with each of the four schemes. User names, passwords, names of masters and socket paths may be percent-encoded.
 *
 * @throws {@link InvalidOptionError} for anything else; the message shows the URL with its password masked.
 * @example
 * ```ts
 * parseRedisUrl('rediss://app:secret@cache.internal/2');
 * // { kind: 'server', host: 'cache.internal', port: 6379, db: 2, username: 'app', password: 'secret', tls: {...} }
 * ```
 */
export function parseRedisUrl(url: string): RedisTarget {
  const parts = split(url);
  const [protocol, plus, topology] = parts.scheme.split(/(\+)(.*)/s);
  switch (protocol) {
    case 'redis':
    case 'valkey':
    case 'rediss':
    case 'valkeys':
      if (plus === undefined) return server(parts);
      if (topology === 'sentinel') return sentinel(parts);
      if (topology === 'cluster') return cluster(parts);
      break;
    case 'unix':
      if (plus === undefined) return socket(parts);
      break;
    case 'memory':
      if (plus === undefined) return memory(parts);
  }
  throw invalid(
    url,
    'unknown scheme, use redis://, rediss://, valkey://, valkeys://, unix:// or memory://, or redis+sentinel:// or redis+cluster://',
  );
}

/**
 * Hides the secrets of a URL so that it can be shown. Works on any text, since the URLs that end up in errors are those
 * that cannot be parsed. When in doubt, masks too much rather than too little.
 *
 * @example
 * ```ts
 * maskUrl('redis://app:secret@localhost:6379/0'); // 'redis://app:***@localhost:6379/0'
 * ```
 */
export function maskUrl(url: string): string {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*:\/\/)?(.*)$/is.exec(url) ?? [];
  // The last '@' ends the credentials, even when the password contains '/', '?', '#' or another '@' without encoding.
  const credentials = /^(.*)(@|%40)/is.exec(rest);
  const hasList = /\+(?:sentinel|cluster):/i.test(scheme);
  if (credentials === null) return scheme + maskPort(maskQuery(rest), hasList);
  const [whole, login = '', at] = credentials;
  const address = rest.slice(whole.length);
  const user = /^(.*?):/s.exec(login)?.[0];
  // Without a colon it is a path with an '@' (unix:///tmp/a@b.sock), or a single word, which may be the secret. An
  // encoded colon is a part of that word.
  const isPath = login.startsWith('/') && /^unix:/i.test(scheme);
  const shown = user !== undefined ? `${user}***` : isPath ? maskQuery(login) : '***';
  return `${scheme}${shown}${at}${maskPort(maskQuery(address), hasList)}`;
}

/**
 * Masks a port that may be a password. A port is shown only if it is digits: in `redis://app:secret` the host was forgotten, so the
 * password is where the port should be. In a list every member must have a port: in `app:12,secret` the end may be a password.
 */
function maskPort(address: string, hasList: boolean): string {
  const isShown =
    /^(?:\[[^\]]*\]|[^:/?]*)(?::\d{0,5})?(?:[/?]|$)/.test(address) ||
    (hasList && /^(?:\[[^\]]*\]|[^:/?,]*):\d{1,5}(?:,(?:\[[^\]]*\]|[^:/?,]*):\d{1,5})*(?:[/?]|$)/.test(address));
  return isShown ? address : address.replace(/:.*$/s, ':***');
}

/** Masks the query. Some tools accept `?password=`. Docket does not, but its error must not show the password. */
function maskQuery(text: string): string {
  return text.replace(/([?#])(?!db=\d*$|ssl=(?:true|false)$).*$/s, '$1***');
}

interface UrlParts extends RedisCredentials {
  readonly url: string;
  readonly scheme: string;
  readonly host: string;
  readonly port: string | undefined;
  readonly path: string;
  readonly query: string;
}

const URL_PARTS =
  /^(?<scheme>[a-z][a-z0-9+.-]*):\/\/(?:(?<login>[^/?#]*)@)?(?<host>\[[^\]]*\]|[^:/?#]*)(?::(?<port>[^/?#]*))?(?<path>\/[^?#]*)?(?:\?(?<query>[^#]*))?$/is;

/** Splits a URL. The URL class is not used: it accepts `redis:x`, drops fragments, and its error has the whole URL. */
function split(url: string): UrlParts {
  const found = URL_PARTS.exec(url)?.groups;
  if (found === undefined) {
    throw invalid(
      url,
      'not a URL of the form redis://user:password@host:port/db; a "#", "/", "?" or "@" in a password is written %23, %2F, %3F or %40',
    );
  }
  return {
    url,
    scheme: found.scheme!.toLowerCase(),
    host: found.host ?? '',
    port: found.port,
    path: found.path ?? '',
    query: found.query ?? '',
    ...credentialsOf(url, found.login ?? ''),
  };
}

function credentialsOf(url: string, login: string): RedisCredentials {
  if (login === '') return {};
  const colon = login.indexOf(':');
  const username = decode(url, colon < 0 ? login : login.slice(0, colon), 'the user name');
  const password = colon < 0 ? '' : decode(url, login.slice(colon + 1), 'the password');
  return username === '' ? { password } : { username, password };
}

function server(parts: UrlParts): ServerTarget {
  const host = hostOf(parts.url, parts.host);
  return {
    kind: 'server',
    host,
    port: portOf(parts.url, parts.port, 6379),
    db: dbOf(parts.url, parts.path.slice(1)),
    ...loginOf(parts),
    ...(isEncrypted(parts) && { tls: isIP(host) === 0 ? { servername: host } : {} }),
  };
}

function sentinel(parts: UrlParts): SentinelTarget {
  const [, name = '', db = '', ...more] = parts.path.split('/');
  const form = `${parts.scheme}://host1:26379,host2:26379/mymaster/0`;
  if (name === '') throw invalid(parts.url, `the name of the master is missing, as the sentinels know it: ${form}`);
  if (more.length > 0) throw invalid(parts.url, `only the master and a database may follow the sentinels: ${form}`);
  return {
    kind: 'sentinel',
    sentinels: addressesOf(parts, 26379),
    master: decode(parts.url, name, 'the name of the master'),
    db: dbOf(parts.url, db),
    ...loginOf(parts),
    ...(isEncrypted(parts) && { tls: {} }),
  };
}

function cluster(parts: UrlParts): ClusterTarget {
  if (!/^\/?0?$/.test(parts.path)) {
    throw invalid(
      parts.url,
      'a cluster has database 0 only: leave the database out, and use another name of the docket',
    );
  }
  return {
    kind: 'cluster',
    seeds: addressesOf(parts, 6379),
    db: 0,
    ...loginOf(parts),
    ...(isEncrypted(parts) && { tls: {} }),
  };
}

/** Reads `host1:port1,host2:port2`. */
function addressesOf({ url, host, port }: UrlParts, defaultPort: number): Address[] {
  const list = port === undefined ? host : `${host}:${port}`;
  return list.split(',').map((address) => {
    const found = /^(?<host>\[[^\]]*\]|[^:]*)(?::(?<port>.*))?$/s.exec(address)?.groups;
    if (!found || (address === '' && list !== '')) {
      throw invalid(url, 'the hosts are written host1:port1,host2:port2, an IPv6 address as [::1]:port');
    }
    return { host: hostOf(url, found.host!), port: portOf(url, found.port, defaultPort) };
  });
}

/** Whether the scheme or the query asks for TLS. Some providers give out URLs with `?ssl=true`. */
function isEncrypted({ url, scheme, query }: UrlParts): boolean {
  const isAskedFor = /^(?:rediss|valkeys)\b/.test(scheme);
  if (query === '') return isAskedFor;
  if (query !== 'ssl=true' && query !== 'ssl=false') {
    throw invalid(url, 'the only parameter after "?" is ssl, which is true or false');
  }
  if (isAskedFor && query === 'ssl=false') throw invalid(url, `${scheme}:// asks for TLS, and ssl=false for none`);
  return query === 'ssl=true';
}

function socket(parts: UrlParts): SocketTarget {
  if (parts.host !== '' || parts.port !== undefined || parts.path.length < 2) {
    throw invalid(parts.url, 'the path of the socket must be absolute, as in unix:///run/redis.sock');
  }
  const [name, db = ''] = parts.query.split(/=(.*)/s);
  if (parts.query !== '' && name !== 'db') throw invalid(parts.url, 'the only parameter after "?" is db');
  return {
    kind: 'socket',
    path: decode(parts.url, parts.path, 'the path'),
    db: dbOf(parts.url, db),
    ...loginOf(parts),
  };
}

function memory(parts: UrlParts): MemoryTarget {
  const extras = parts.password ?? parts.port ?? (parts.path + parts.query || undefined);
  if (extras !== undefined || !/^[A-Za-z0-9_.-]*$/.test(parts.host)) {
    throw invalid(parts.url, 'memory:// takes a name of letters, digits, "_", "." and "-", and nothing else');
  }
  return { kind: 'memory', name: parts.host === '' ? 'default' : parts.host };
}

function hostOf(url: string, host: string): string {
  if (host === '') return 'localhost';
  if (host.startsWith('[')) {
    const address = host.slice(1, -1);
    if (isIPv6(address)) return address;
    throw invalid(url, 'only an IPv6 address may stand between [ and ]');
  }
  if (/^[\p{L}\p{N}_.-]+$/u.test(host)) return host;
  throw invalid(url, 'the host must be a name or an address');
}

function portOf(url: string, port: string | undefined, defaultPort: number): number {
  if (port === undefined || port === '') return defaultPort;
  const value = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (value >= 1 && value <= 65_535) return value;
  throw invalid(url, 'the port must be a whole number from 1 to 65535');
}

function dbOf(url: string, db: string): number {
  if (db === '') return 0;
  if (/^\d{1,9}$/.test(db)) return Number(db);
  throw invalid(
    url,
    'the database must be a whole number, as in redis://localhost:6379/0 or unix:///run/redis.sock?db=0',
  );
}

function loginOf({ username, password }: UrlParts): RedisCredentials {
  return { ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
}

function decode(url: string, text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(url, `${what} is not valid percent-encoding; a "%" itself is written %25`);
  }
}

function invalid(url: string, problem: string): InvalidOptionError {
  return new InvalidOptionError('url', `'${maskUrl(url)}': ${problem}`);
}
