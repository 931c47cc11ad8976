/**
 * Checks the option `connection` of a docket, and reads it from the file that DOCKET_CONNECTION names.
 *
 * Owns the rule that no error quotes a value of it: any may be a secret, or a secret in the wrong place.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Duration, toMs } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import { CREDENTIALS, type ServerConnectionOptions, type TlsOptions } from '../core/server-connection.js';
import type { RedisTarget } from '../redis/url.js';

const OPTION_NAMES = optionNames<ServerConnectionOptions>({
  username: true,
  password: true,
  tls: true,
  sentinelUsername: true,
  sentinelPassword: true,
  sentinelTls: true,
  natMap: true,
  family: true,
  keepAlive: true,
  connectTimeout: true,
});
const TLS_NAMES = optionNames<TlsOptions>({
  ca: true,
  cert: true,
  key: true,
  passphrase: true,
  servername: true,
  rejectUnauthorized: true,
  minVersion: true,
});

/** Options of ioredis that decide what happens to commands when a link breaks, and what names and replies look like. */
const OWN_OPTIONS: ReadonlySet<string> = new Set([
  'Connector',
  'autoResendUnfulfilledCommands',
  'autoResubscribe',
  'blockingTimeout',
  'commandTimeout',
  'connectionName',
  'enableAutoPipelining',
  'enableOfflineQueue',
  'enableReadyCheck',
  'keyPrefix',
  'lazyConnect',
  'maxLoadingRetryTime',
  'maxRetriesPerRequest',
  'monitor',
  'noDelay',
  'protocol',
  'readOnly',
  'reconnectOnError',
  'replyMapping',
  'retryStrategy',
  'scripts',
  'sentinelRetryStrategy',
  'socketTimeout',
  'stringNumbers',
]);
const IN_URL: ReadonlySet<string> = new Set(['db', 'host', 'name', 'path', 'port', 'sentinels', 'url']);

const OPTION = 'connection';
const VARIABLE = 'DOCKET_CONNECTION';

/**
 * Returns the options of the connections; `null` for none.
 * @param given - the option `connection`; without it, those of DOCKET_CONNECTION
 * @throws InvalidOptionError naming the option that cannot be used
 */
export function resolveConnection(
  given: ServerConnectionOptions | undefined,
  target: RedisTarget,
): ServerConnectionOptions | null {
  if (target.kind === 'memory') {
    if (given === undefined) return null; // the variable is for servers
    throw new InvalidOptionError(OPTION, 'memory:// is a server inside this process, which takes no such options');
  }
  if (given !== undefined) return checked(given, target, OPTION);
  const file = process.env[VARIABLE];
  return file ? checked(readFile(file), target, VARIABLE) : null;
}

function checked(options: ServerConnectionOptions, target: Exclude<RedisTarget, { kind: 'memory' }>, where: string) {
  const refuse = (name: string, problem: string) => new InvalidOptionError(`${where}.${name}`, problem);
  for (const name of Object.keys(options ?? {})) {
    if (OWN_OPTIONS.has(name)) throw refuse(name, 'docket decides this itself, because its promises depend on it');
    if (IN_URL.has(name)) throw refuse(name, 'this is a part of the URL');
  }
  checkOptionNames(options, OPTION_NAMES, `${where}.`);
  for (const name of CREDENTIALS) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== 'string' && typeof value !== 'function') {
      throw refuse(name, `expected text or a function that returns it, got ${typeof value}`);
    }
    if (value !== undefined && (name === 'username' || name === 'password') && target[name]) {
      throw refuse(name, 'the URL has one, too: give one of the two');
    }
  }
  for (const name of ['sentinelUsername', 'sentinelPassword', 'sentinelTls'] as const) {
    if (options[name] !== undefined && target.kind !== 'sentinel')
      throw refuse(name, 'only redis+sentinel:// has sentinels');
  }
  if (options.sentinelTls !== undefined && typeof options.sentinelTls !== 'boolean') {
    throw refuse('sentinelTls', 'expected true or false');
  }
  if (options.family !== undefined && options.family !== 4 && options.family !== 6)
    throw refuse('family', 'expected 4 or 6');
  if (options.natMap !== undefined) checkNatMap(options.natMap, target, refuse);
  if (options.tls !== undefined) checkTls(options.tls, target, where);
  return {
    ...options,
    ...(options.keepAlive !== undefined && { keepAlive: msOf(options.keepAlive, `${where}.keepAlive`) }),
    ...(options.connectTimeout !== undefined && {
      connectTimeout: msOf(options.connectTimeout, `${where}.connectTimeout`),
    }),
  };
}

function msOf(duration: Duration, option: string): number {
  const ms = toMs(duration, option);
  if (ms >= 1) return ms;
  throw new InvalidOptionError(option, 'expected at least 1 ms');
}

type Refuse = (name: string, problem: string) => InvalidOptionError;

function checkNatMap(natMap: unknown, target: RedisTarget, refuse: Refuse): void {
  if (target.kind !== 'sentinel' && target.kind !== 'cluster') {
    throw refuse('natMap', 'only redis+sentinel:// and redis+cluster:// lead to servers that others name');
  }
  const isSound = typeof natMap === 'object' && natMap !== null && Object.values(natMap).every(isAddress);
  if (!isSound)
    throw refuse('natMap', "expected addresses by address, as in { '10.0.0.1:6379': { host: 'a', port: 7000 } }");
}

function isAddress(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { host, port } = value as { host?: unknown; port?: unknown };
  return (
    typeof host === 'string' && host !== '' && Number.isInteger(port) && Number(port) >= 1 && Number(port) <= 65_535
  );
}

function checkTls(tls: TlsOptions, target: Exclude<RedisTarget, { kind: 'memory' }>, where: string): void {
  checkOptionNames(tls, TLS_NAMES, `${where}.tls.`);
  if (target.kind === 'socket' || target.tls === undefined) {
    throw new InvalidOptionError(`${where}.tls`, 'the URL asks for no TLS: write rediss:// in place of redis://');
  }
  for (const [name, value] of Object.entries(tls)) {
    const isText =
      typeof value === 'string' ||
      (name === 'ca' && Array.isArray(value) && value.every((one) => typeof one === 'string'));
    if (name === 'rejectUnauthorized' ? typeof value !== 'boolean' : !isText) {
      const wanted = name === 'rejectUnauthorized' ? 'true or false' : 'text';
      throw new InvalidOptionError(`${where}.tls.${name}`, `expected ${wanted}, got ${typeof value}`);
    }
  }
}

/** Reads the options from a JSON file. Instead of a text it may name a file with it: `passwordFile`, `tls.caFile`. */
function readFile(file: string): ServerConnectionOptions {
  const options = parse(textOf(file, VARIABLE));
  const from = dirname(resolve(file));
  const { tls, ...others } = options;
  const resolved = withFiles(others, CREDENTIALS, (path, name) => {
    const read = () => textOf(resolve(from, path), `${VARIABLE}.${name}File`).trim();
    read(); // a file that is missing is said at once
    return read; // it is read again before each attempt to connect: passwords change
  });
  if (typeof tls !== 'object' || tls === null)
    return (tls === undefined ? resolved : options) as ServerConnectionOptions;
  const certificates = withFiles(tls as Fields, ['ca', 'cert', 'key'], (path, name) =>
    textOf(resolve(from, path), `${VARIABLE}.tls.${name}File`),
  );
  return { ...resolved, tls: certificates };
}

type Fields = Readonly<Record<string, unknown>>;

/** Puts what `read` returns in place of the fields that name a file. */
function withFiles(fields: Fields, names: readonly string[], read: (path: string, name: string) => unknown): Fields {
  const result: Record<string, unknown> = { ...fields };
  for (const name of names) {
    const path = fields[`${name}File`];
    if (path === undefined) continue;
    if (typeof path !== 'string')
      throw new InvalidOptionError(`${VARIABLE}.${name}File`, 'expected the path of a file');
    delete result[`${name}File`];
    result[name] = read(path, name);
  }
  return result;
}

function parse(text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidOptionError(VARIABLE, 'the file is not JSON'); // the error of the parser quotes it
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new InvalidOptionError(VARIABLE, 'the file must have a JSON object, with the fields of the option connection');
}

function textOf(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new InvalidOptionError(
      option,
      `the file '${path}' cannot be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}
