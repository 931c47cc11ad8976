/**
 * Opens and closes connections to Redis. Owns the invariants that every connection has an 'error' listener, that a dead
 * link is noticed and replaced, and that no error met here holds the password.
 */

import type { Redis, RedisOptions } from 'ioredis';
import { RedisUnavailableError } from '../core/errors.js';
import { embeddedSocket } from './embedded.js';
import { isDemoted } from './reply-errors.js';
import { maskUrl, parseRedisUrl, type RedisTarget } from './url.js';

/**
 * What a connection is for; it decides what happens to commands when the link breaks.
 *
 * - `producer`: fails fast. What was sent but not answered is rejected at once, never sent twice.
 * - `commands`: a worker's reads and writes. Waits for ever and sends again: they are fenced or idempotent.
 * - `blocking`: the same, for a loop of blocking reads; nothing else belongs on it.
 * - `subscriber`: subscriptions come back by themselves after a reconnect; what was published meanwhile is lost.
 */
export type ConnectionRole = 'producer' | 'commands' | 'blocking' | 'subscriber';

/** Details of one connection. */
export interface ConnectionOptions {
  /** Shown in CLIENT LIST behind the role, as `docket:blocking:<name>`. */
  readonly name?: string;
  /** The longest a command on this connection keeps the server from answering (BLOCK, WAIT), in milliseconds. @default 0 */
  readonly longestBlockMs?: number;
  /**
   * How long the server may owe an answer beyond that, in milliseconds, before the link is taken for dead and replaced.
   * Shorter finds a dead link sooner, and gives up on a server that is only busy. The embedded server is waited for as
   * long as it takes. @default 6000
   */
  readonly silenceMs?: number;
  /** Longest pause between two attempts to connect; @default 2 s */
  readonly longestPauseMs?: number;
  /** Gives up waiting for the first connection; `openConnection` then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Hears of every failed attempt to connect and every broken link, ready to be logged: the URL is masked. */
  readonly onUnavailable?: (error: RedisUnavailableError) => void;
}

/**
 * Opens a connection and waits until it can be used.
 *
 * A `producer` rejects when the first attempt fails. The other roles keep trying, with back-off from 50 ms on, and
 * reject only when trying again cannot help: wrong credentials, a missing database, a certificate that is not trusted.
 * Close it with {@link closeConnection}.
 *
 * @throws {@link InvalidOptionError} when the URL cannot be read.
 * @throws {@link RedisUnavailableError} when the server cannot be used, with the masked URL and the reason.
 */
export async function openConnection(
  url: string,
  role: ConnectionRole,
  options: ConnectionOptions = {},
): Promise<Redis> {
  const target = parseRedisUrl(url);
  const silenceMs = options.silenceMs ?? DEFAULT_SILENCE_MS;
  // Loaded here, since most task threads never open a connection: it would take half of the time in which they start.
  const { Redis } = await import('ioredis');
  const redis = new Redis({
    ...(await addressOf(target)),
    ...COMMON_OPTIONS,
    ...ROLE_OPTIONS[role],
    connectTimeout: silenceMs,
    retryStrategy: retryingUpTo(options.longestPauseMs ?? DEFAULT_PAUSE_MS),
    connectionName: connectionName(role, options.name),
  });
  // The first listener of all: whoever else listens, or awaits a command that failed with it, sees the cleaned error.
  redis.on('error', (error: Error) => removeSecrets(error, target));
  redis.on('error', (error: Error) => options.onUnavailable?.(unavailable(url, error)));
  // Within the process no route gets lost: an embedded server that is silent is busy, and its end closes the link.
  if (target.kind !== 'memory') watchLink(redis, silenceMs + (options.longestBlockMs ?? 0));
  if (role === 'subscriber') handleRejections(redis);
  try {
    await firstReady(redis, url, role, options.signal);
    return redis;
  } catch (error) {
    await closeConnection(redis);
    throw error;
  }
}

/**
 * Closes a connection in whatever state it is, also while it is connecting or waiting to reconnect, and resolves when
 * it has ended. Commands without an answer are rejected. Idempotent.
 */
export async function closeConnection(redis: Redis): Promise<void> {
  if (redis.status === 'end') return;
  const ended = new Promise((resolve) => redis.once('end', resolve));
  // Between two attempts disconnect() only cancels the timer: the client would never end, and its queued commands
  // never settle. An attempt that is broken off before it opens a socket takes it to its end.
  if (redis.status === 'reconnecting') redis.connect().catch(() => {});
  redis.disconnect();
  await ended;
}

/** Above the 5 s a server may be paused by a failover or a long script; a dead link is replaced within 8 s. */
const DEFAULT_SILENCE_MS = 6_000;
const DEFAULT_PAUSE_MS = 2_000;

const COMMON_OPTIONS = {
  lazyConnect: true,
  // How long a closing link may take to say goodbye before it is cut; it also bounds what a close leaves behind.
  disconnectTimeout: 200,
  maxLoadingRetryTime: 1_000,
  disableClientInfo: true,
  enableAutoPipelining: false,
} satisfies RedisOptions;

/** 50 ms doubling to the longest pause, of which a random half is taken off: a fleet does not come back in one wave. */
const retryingUpTo = (longestPauseMs: number) => (attempt: number) =>
  Math.min(50 * 2 ** (attempt - 1), longestPauseMs) * (1 - Math.random() / 2);

const ROLE_OPTIONS = {
  // With resends off and any other limit, ioredis drops what was in flight without ever settling it; 0 rejects it when
  // the link closes.
  producer: { autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0, reconnectOnError: isDemoted },
  commands: { autoResendUnfulfilledCommands: true, maxRetriesPerRequest: null, reconnectOnError: isDemoted },
  // No blockingTimeout: it resolves the read with null but leaves it in the queue of the dead link, so that a reader
  // loops on "nothing to do" for ever, and after a reconnect the stale reads swallow the entries. See watchLink.
  blocking: { autoResendUnfulfilledCommands: true, maxRetriesPerRequest: null, reconnectOnError: isDemoted },
  subscriber: { autoResendUnfulfilledCommands: true, maxRetriesPerRequest: null, autoResubscribe: true },
} satisfies Record<ConnectionRole, RedisOptions>;

async function addressOf(target: RedisTarget): Promise<Omit<RedisOptions, 'replyMapping'>> {
  if (target.kind === 'memory') return { path: await embeddedSocket(target.name) };
  const { kind: _, ...options } = target;
  return options;
}

/**
 * After a reconnect ioredis subscribes anew and leaves the promise to itself (6.0): should the link break again or be
 * closed before the answer, its rejection, which nobody handles, would end the process. Callers still see theirs.
 */
function handleRejections(redis: Redis): void {
  const subscribe = redis.subscribe.bind(redis) as (...channels: unknown[]) => Promise<unknown>;
  redis.subscribe = ((...channels: unknown[]) => {
    const subscribing = subscribe(...channels);
    subscribing.catch(() => {});
    return subscribing;
  }) as typeof redis.subscribe;
}

/** CLIENT SETNAME takes printable ASCII without spaces. */
function connectionName(role: ConnectionRole, name: string | undefined): string {
  return name === undefined ? `docket:${role}` : `docket:${role}:${name.replace(/[^!-~]/g, '_')}`;
}

/**
 * Replaces a link that answers nothing any more: a lost route or a silent proxy sends no event, and TCP takes a quarter
 * of an hour to give up. There is always a PING on its way or soon to be; when one has no answer, or the handshake no
 * end, for `patienceMs`, the link is cut at the next turn, and the client reconnects.
 *
 * ioredis' socketTimeout would do the same, but its timer also fires when this process was busy for so long, with the
 * answer already waiting to be read. Hence the second look after a setImmediate: what has arrived was read by then.
 */
function watchLink(redis: Redis, patienceMs: number): void {
  redis.on('connect', () => {
    let isAsking = false;
    let askedAt = performance.now(); // the handshake is the first question
    const isOwed = () => isAsking || redis.status !== 'ready';
    const ask = async () => {
      isAsking = true;
      askedAt = performance.now();
      await redis.ping();
      isAsking = false;
    };
    const turn = () => {
      if (!isOwed())
        ask().catch(() => {}); // the link broke: 'close' ends this watch
      else if (performance.now() - askedAt >= patienceMs) setImmediate(() => isOwed() && redis.disconnect(true));
    };
    const timer = setInterval(turn, patienceMs / 3).unref();
    redis.once('close', () => clearInterval(timer));
  });
}

/** Connects, and resolves when the connection is ready; see `openConnection` for what rejects it. */
async function firstReady(
  redis: Redis,
  url: string,
  role: ConnectionRole,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  let problem: Error | undefined;
  const settled = new AbortController();
  const listen = { signal: settled.signal };
  try {
    await new Promise<void>((resolve, reject) => {
      const fail = () => reject(unavailable(url, problem));
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
      redis.connect().catch(() => {}); // says only "closed": the events say why
    });
  } finally {
    settled.abort();
  }
}

function unavailable(url: string, cause: Error | undefined): RedisUnavailableError {
  return new RedisUnavailableError(`cannot use Redis at ${maskUrl(url)}: ${reasonOf(cause)}`, cause && { cause });
}

function reasonOf(error: (Error & { code?: unknown }) | undefined): string {
  if (error === undefined) return 'the server closed the connection, or was silent for too long';
  if (isCertificateProblem(error)) return `TLS failed (${error.message})`;
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'the connection was refused: nothing listens there';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'the server closed the connection';
    case 'ENOENT':
      return 'there is no socket at this path';
    case 'EACCES':
      return 'this user may not open the socket';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name is not known';
    case 'ETIMEDOUT':
      return 'the host did not answer in time';
  }
  if (/^(WRONGPASS|ERR invalid password)/.test(error.message)) return `wrong user name or password (${error.message})`;
  if (/^NOAUTH/.test(error.message)) return `the server asks for a password (${error.message})`;
  return error.message || String(error.code ?? error.name);
}

/** Refusals that the next attempt would only meet again. A wrong database must end here: the client would go on in 0. */
function isPermanent(error: Error): boolean {
  const isRefusal = /^(WRONGPASS|NOAUTH|NOPERM|ERR invalid password|ERR (DB index|invalid DB))/.test(error.message);
  return isRefusal || isCertificateProblem(error);
}

function isCertificateProblem({ code }: Error & { code?: unknown }): boolean {
  return typeof code === 'string' && /CERT|SIGNATURE|^ERR_(SSL|TLS)|^EPROTO$/.test(code);
}

/** ioredis keeps the arguments of AUTH and HELLO in the error, and old servers repeat them in its text. */
function removeSecrets(error: Error & { command?: unknown }, target: RedisTarget): void {
  if (target.kind === 'memory' || !target.password) return;
  delete error.command;
  error.message = error.message.replaceAll(target.password, '***');
  if (error.stack !== undefined) error.stack = error.stack.replaceAll(target.password, '***');
}
