/**
 * Opens and closes connections to Redis. Owns the invariants that every connection has an 'error' listener, that its link is
 * watched, and that no error met here holds the password.
 */

import type { Command, Redis, RedisOptions } from 'ioredis';
import { assertNever } from '../core/assert.js';
import { toMs } from '../core/duration.js';
import type { RedisUnavailableError } from '../core/errors.js';
import type { ServerConnectionOptions } from '../core/server-connection.js';
import { writeScriptsFast } from './command-bytes.js';
import { connectorFor } from './connector.js';
import { embeddedSocket } from './embedded.js';
import { type Traffic, watchLink } from './link-watch.js';
import { addressText } from './master-replies.js';
import { MasterNotFoundError } from './master-search.js';
import { explainReply, isForbidden, isMoved } from './reply-errors.js';
import { resendRefused } from './resend.js';
import { Secrets } from './secrets.js';
import { type Login, locatorFor, type ServerLocator } from './server-locator.js';
import { isClusterNode, learnShardChannels, subscribeBySlot } from './shard-channels.js';
import { isPermanent, unavailable } from './unavailable.js';
import { parseRedisUrl, type RedisTarget } from './url.js';

/**
 * The purpose of a connection. It decides the fate of commands when the link breaks.
 *
 * - `producer`: fails fast. A command that was sent but not answered is rejected at once and never sent twice. One that the
 *   server refused to do was not done, so it is sent again for two seconds (`resend.ts`).
 * - `commands`: a worker's reads and writes. Waits for ever and sends them again: they are fenced or idempotent.
 * - `blocking`: the same, for a loop of blocking reads; nothing else belongs on it.
 * - `subscriber`: subscriptions come back by themselves after a reconnect. Messages published meanwhile are lost.
 */
export type ConnectionRole = 'producer' | 'commands' | 'blocking' | 'subscriber';

/** Where a connection leads. A `DocketSettings` is one. */
export interface Server {
  readonly url: string;
  /** What the URL cannot say. */
  readonly connection?: ServerConnectionOptions | null;
  /** The keys for which the connection is made: in a cluster it leads to the master that has them. */
  readonly keys?: { readonly prefix: string };
}

/** Details of one connection. */
export interface ConnectionOptions {
  /** Shown in CLIENT LIST behind the role, as `docket:blocking:<name>`. */
  readonly name?: string;
  /** The longest that a command on this connection lets the server wait (BLOCK, WAIT), in milliseconds. @default 0 */
  readonly longestBlockMs?: number;
  /**
   * How long the server may owe an answer beyond that, in milliseconds, before the link counts as dead and is replaced.
   * A shorter time finds a dead link sooner, but also gives up on a server that is only busy. The embedded server may
   * take any time. @default 6000
   */
  readonly silenceMs?: number;
  /** Longest pause between two attempts to connect, in milliseconds. @default 2000 */
  readonly longestPauseMs?: number;
  /** Gives up waiting for the first connection; `openConnection` then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Called for every failed attempt to connect that is followed by another one, and for every broken link. The error can be
   * logged: its URL is masked.
   */
  readonly onUnavailable?: (error: RedisUnavailableError) => void;
}

/**
 * Opens a connection and waits until it can be used.
 *
 * Beside the events of ioredis it emits `silent` when the server has owed an answer for a third of `silenceMs`, and
 * `heard` with every answer to a PING.
 *
 * A `producer` rejects when the first attempt fails. The other roles keep trying, with back-off from 50 ms on, and
 * reject only when trying again cannot help: wrong credentials, a missing database, a certificate that is not trusted.
 * Close it with {@link closeConnection}.
 *
 * @param server - the server, or its URL where that says everything
 *
 * @throws {@link InvalidOptionError} when the URL cannot be read.
 * @throws {@link RedisUnavailableError} when the server cannot be used, with the masked URL and the reason.
 */
export async function openConnection(
  server: Server | string,
  role: ConnectionRole,
  options: ConnectionOptions = {},
): Promise<Redis> {
  const { url, connection, keys }: Server = typeof server === 'string' ? { url: server } : server;
  const settings = connection ?? {};
  const target = parseRedisUrl(url);
  const { silenceMs = DEFAULT_SILENCE_MS, longestPauseMs = DEFAULT_PAUSE_MS } = options;
  // Loaded here, since most task threads never open a connection: loading it would take half of their start.
  // By its default export: bundlers find no other names in a CommonJS package that is imported on demand.
  const { default: ioredis } = await import('ioredis');
  const secrets = new Secrets();
  const connectTimeout =
    settings.connectTimeout === undefined ? silenceMs : toMs(settings.connectTimeout, 'connectTimeout');
  const locatorOptions = { key: keys?.prefix ?? '', secrets, timeoutMs: connectTimeout };
  const locator = target.kind === 'memory' ? null : locatorFor(target, settings, locatorOptions);
  const isSearched = locator?.findsMaster === true;
  const onLogin = (login: Login) => authenticate(redis, login);
  const redis = new ioredis.Redis({
    ...(await addressOf(target, locator)),
    ...(locator &&
      (isSearched || !locator.hasFixedLogin) && {
        Connector: connectorFor(ioredis.AbstractConnector, locator, onLogin),
      }),
    ...(settings.keepAlive !== undefined && { keepAlive: toMs(settings.keepAlive, 'keepAlive') }),
    ...COMMON_OPTIONS,
    ...ROLE_OPTIONS[role],
    connectTimeout,
    retryStrategy: retryingUpTo(longestPauseMs),
    connectionName: connectionName(role, options.name),
  });
  // The first listener, so that all others, and the callers of commands that failed with the error, see it cleaned.
  redis.on('error', (error: Error) => secrets.removeFrom(error));
  let isOpening = true;
  redis.on('error', (error: Error) => {
    if (isOpening && isPermanent(error)) return; // nobody waits for it: the caller gets the error
    options.onUnavailable?.(unavailable(url, error, locator?.found));
  });
  const found = answerReadyCheck(redis, target.kind === 'cluster');
  const traffic = settleAtEnd(redis);
  resendRefused(redis, {
    resends: role !== 'blocking', // a read and the claim behind it would change places
    isSearched,
    keptForMs: isSearched ? SEARCHED_AGAIN_AFTER_MS : longestPauseMs,
    learn: (address) => locator?.learn(address),
  });
  writeScriptsFast(redis);
  const patienceMs = silenceMs + (options.longestBlockMs ?? 0);
  // Within one process no network fails. A silent embedded server is busy, and when it ends it closes the link.
  if (target.kind !== 'memory') watchLink(redis, { traffic, patienceMs, alwaysAsks: role === 'subscriber' });
  if (role === 'subscriber') subscribeBySlot(redis);
  try {
    await firstReady(redis, role, (problem) => unavailable(url, problem, locator?.found), options.signal);
    if (keys && found.isSentinel) throw unavailable(url, mistakenSentinel(target));
    if (keys && !isSearched && found.isClusterNode) await checkOwner(redis, url, keys.prefix);
    isOpening = false;
    return redis;
  } catch (error) {
    await closeConnection(redis);
    throw error;
  }
}

/**
 * Closes a connection in any state, even while it is connecting or waiting to reconnect, and resolves when it has
 * ended. Commands without an answer are rejected. Idempotent.
 */
export async function closeConnection(redis: Redis): Promise<void> {
  if (redis.status === 'end') return;
  const ended = new Promise((resolve) => redis.once('end', resolve));
  // Between two attempts disconnect() only cancels the timer: the client would never end, and its queued commands would
  // never settle. An attempt that is broken off before it opens a socket ends the client.
  if (redis.status === 'reconnecting') redis.connect().catch(() => {});
  redis.disconnect();
  await ended;
}

/**
 * More than the 5 s for which a failover or a long script may pause a server. A dead link is replaced within 8 s of the first
 * command that it leaves unanswered.
 */
const DEFAULT_SILENCE_MS = 6_000;
const DEFAULT_PAUSE_MS = 2_000;

/** A master that was found is not looked for again sooner: the others may have an old view still. */
const SEARCHED_AGAIN_AFTER_MS = 200;

/** The error text of ioredis for commands on a connection that has ended. */
const CLOSED = 'Connection is closed.';

const COMMON_OPTIONS = {
  lazyConnect: true,
  // How long a closing link may take to shut down before it is cut. It also bounds what a close leaves behind.
  disconnectTimeout: 200,
  maxLoadingRetryTime: 1_000,
  disableClientInfo: true,
  enableAutoPipelining: false,
} satisfies RedisOptions;

/** Doubles from 50 ms to the longest pause, less up to half of it at random: a fleet must not come back in one wave. */
const retryingUpTo = (longestPauseMs: number) => (attempt: number) =>
  Math.min(50 * 2 ** (attempt - 1), longestPauseMs) * (1 - Math.random() / 2);

const ROLE_OPTIONS = {
  // With resends off and any limit but 0, ioredis drops commands in flight without ever settling them. 0 rejects them
  // when the link closes.
  producer: { autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 },
  commands: { autoResendUnfulfilledCommands: true, maxRetriesPerRequest: null },
  // No blockingTimeout: it resolves the read with null but leaves it in the queue of the dead link. The reader then
  // loops on "nothing to do" for ever, and after a reconnect the stale reads swallow the entries. See watchLink.
  blocking: { autoResendUnfulfilledCommands: true, maxRetriesPerRequest: null },
  subscriber: { autoResendUnfulfilledCommands: true, maxRetriesPerRequest: null, autoResubscribe: false }, // see subscribeBySlot
} satisfies Record<ConnectionRole, RedisOptions>;

/** For credentials that are text, which nothing waits for. */
const NEVER = new AbortController().signal;

/** Where a connection begins. A server that is searched for has no address yet, and a login that is asked for no text. */
async function addressOf(
  target: RedisTarget,
  locator: ServerLocator | null,
): Promise<Omit<RedisOptions, 'replyMapping'>> {
  if (target.kind === 'memory') return { path: await embeddedSocket(target.name) };
  const { tls, family, hasFixedLogin, login } = locator!;
  const common = {
    db: target.db,
    ...(tls && { tls }),
    ...(family && { family }),
    ...(hasFixedLogin && (await login(NEVER))),
  };
  switch (target.kind) {
    case 'server':
      return { host: target.host, port: target.port, ...common };
    case 'socket':
      return { path: target.path, ...common };
    case 'sentinel':
    case 'cluster':
      return common;
    default:
      return assertNever(target);
  }
}

/** Gives an attempt to connect its user name and password. ioredis reads its options too early for that (6.0). */
function authenticate(redis: Redis, { username, password }: Login): void {
  if (password === undefined && username === undefined) return;
  const condition = (redis as unknown as { condition: { auth?: unknown } }).condition;
  condition.auth = username ? [username, password ?? ''] : password;
  // What `duplicate()` copies.
  Object.assign(redis.options, { username, password });
}

/** A sentinel takes connections, and refuses every command that docket sends. */
function mistakenSentinel(target: RedisTarget): MasterNotFoundError {
  const address = target.kind === 'server' ? addressText(target) : 'host:26379';
  const advice = 'give a redis+sentinel:// URL in --url (DOCKET_URL): SENTINEL MASTERS lists the names of the masters';
  const problem = `the server is a sentinel: its URL is redis+sentinel://${address}/NAME, with the name of the master`;
  return new MasterNotFoundError(problem, true, advice);
}

/** A node of a cluster that does not have the keys of the docket would refuse every command. */
async function checkOwner(redis: Redis, url: string, key: string): Promise<void> {
  const error = await redis.exists(key).then(
    () => null,
    (refusal: Error) => refusal,
  );
  if (isMoved(error)) throw unavailable(url, new Error(explainReply(error as Error)));
}

/**
 * Rejects unanswered commands when the connection ends. ioredis keeps those that were in flight when a link broke until the
 * next one is ready, and forgets those sent on a link that broke before it was ready. Closing settles neither (6.0).
 */
function settleAtEnd(redis: Redis): Traffic {
  const unanswered = new Set<Command>();
  const traffic: Traffic = { unanswered, answered: 0 };
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, stream) => {
    if (!unanswered.has(command)) {
      const forget = () => {
        unanswered.delete(command);
        traffic.answered += 1;
      };
      unanswered.add(command);
      command.promise.then(forget, forget);
    }
    return send(command, stream);
  };
  redis.on('end', () => {
    for (const command of unanswered) command.reject(new Error(CLOSED));
  });
  return traffic;
}

/**
 * Lets a user without INFO pass the check that the server is ready. ioredis lets such a user pass, too, but then writes
 * to the console (6.0). Only the check calls `info` with a callback. Returns what the check has found.
 */
function answerReadyCheck(
  redis: Redis,
  isCluster: boolean,
): { readonly isClusterNode: boolean; readonly isSentinel: boolean } {
  const found = { isClusterNode: isCluster, isSentinel: false };
  const info = redis.info.bind(redis) as (...args: unknown[]) => Promise<string>;
  redis.info = ((...args: unknown[]) => {
    const [callback] = args;
    if (typeof callback !== 'function') return info(...args);
    const answered = info().catch((error: unknown) => {
      if (isForbidden(error)) return '';
      throw error;
    });
    answered.then(
      (text) => {
        if (text !== '') found.isClusterNode = isClusterNode(text);
        found.isSentinel = /^redis_mode:sentinel\r?$/m.test(text);
        learnShardChannels(redis, text, isCluster);
        callback(null, text);
      },
      (error) => callback(error),
    );
    return answered;
  }) as typeof redis.info;
  return found;
}

/** CLIENT SETNAME takes printable ASCII without spaces. */
function connectionName(role: ConnectionRole, name: string | undefined): string {
  return name === undefined ? `docket:${role}` : `docket:${role}:${name.replace(/[^!-~]/g, '_')}`;
}

/** Connects, and resolves when the connection is ready. It rejects as `openConnection` does. */
async function firstReady(
  redis: Redis,
  role: ConnectionRole,
  explained: (problem: Error | undefined) => RedisUnavailableError,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  let problem: Error | undefined;
  const settled = new AbortController();
  const listen = { signal: settled.signal };
  try {
    await new Promise<void>((resolve, reject) => {
      const fail = () => reject(explained(problem));
      const onError = (error: Error) => {
        problem = error;
        if (isPermanent(error)) fail();
      };
      redis.on('error', onError).once('ready', resolve).once('end', fail);
      if (role === 'producer') redis.once('close', fail);
      signal?.addEventListener('abort', () => reject(signal.reason), listen);
      settled.signal.addEventListener('abort', () => {
        redis.off('error', onError).off('ready', resolve).off('end', fail).off('close', fail);
      });
      redis.connect().catch(() => {}); // rejects with "closed" only: the events have the reason
    });
  } finally {
    settled.abort();
  }
}
