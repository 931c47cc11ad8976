/**
 * Sends commands again that the server refused because it is not the one, or not yet: during a failover, while a slot moves
 * to another node, while data is loaded. All redirections and errors of a failover are understood here.
 *
 * Owns the rule that only what was refused is sent again. Redis refuses a command before it does any of it, a script before
 * its first line. So it is safe on every role, unlike a command whose answer was lost with its link.
 *
 * MOVED, READONLY, MASTERDOWN and the UNBLOCKED of a master that becomes a replica mean that the master is elsewhere: the link is replaced, and the connector finds
 * the master. ASK, TRYAGAIN, CLUSTERDOWN and LOADING mean that it takes a while. But CLUSTERDOWN may as well come from a node that
 * is no longer part of the cluster, and that will never lead anywhere else. So when it goes on for a second, the link is replaced, too. A slot on its way to another node is never
 * followed by ASKING: our scripts name a key that never exists (`runScript`), so neither node would run them before the
 * whole slot has moved. Single commands meet ASK for keys that have gone, and could otherwise make a second one.
 */
import type { Command, Redis } from 'ioredis';
import { isClusterDown, movedTo, refusalOf } from './reply-errors.js';
import type { Address } from './url.js';

/** How long a command is sent again and again before its caller hears of the refusal. */
const RESENT_FOR_MS = 2_000;
/** How long to wait before a command is sent again, at least; twice as much at most, at random. */
const PAUSE_MS = 50;
/** How long a node may say that the cluster is down before it is looked for another one that serves the keys. */
const DOWN_FOR_MS = 1_000;
/** The longest that a link which is to be replaced is kept for the answers that are under way. */
const LEAVING_MS = 100;
/** How often it is looked whether they are all there. */
const LOOK_MS = 5;

export interface ResendOptions {
  /** Whether refused commands are sent again. Otherwise only the link is replaced. */
  readonly resends: boolean;
  /** Whether a new link may lead to another server at once; else the address says where the server is. */
  readonly isSearched: boolean;
  /** How long a link is kept that was opened because the one before led to the wrong server. */
  readonly keptForMs: number;
  /** Learns from a reply which node has the keys. */
  learn(address: Address): void;
}

/** A command as ioredis keeps it while it waits for its answer. */
interface SentCommand {
  readonly command: Command & { readonly pipelineIndex?: number; readonly inTransaction?: boolean };
}

/** What ioredis has beside its public interface (6.0). */
interface Internals {
  handleReconnection(error: Error, item: SentCommand): void;
  readonly commandQueue: { readonly length: number };
  readonly condition: { readonly handshake?: boolean } | null;
}

/** Watches the error replies on a connection. Nothing is done for any other reply. */
export function resendRefused(redis: Redis, options: ResendOptions): void {
  const internals = redis as unknown as Internals;
  const passOn = internals.handleReconnection.bind(redis);
  const waiting = new WaitingCommands(redis);
  const replaceLink = linkReplacer(redis, options);
  /** Since when this link has led to a node that says the cluster is down, on the monotonic clock. */
  let downSinceMs: number | null = null;
  redis.on('ready', () => {
    downSinceMs = null;
  });
  // The cluster took back a subscription, because its slot has moved. A new link brings it back (`shard-channels.ts`).
  redis.on('moved', () => {
    if (!replaceLink()) setTimeout(replaceLink, options.keptForMs).unref();
  });
  internals.handleReconnection = (error, item) => {
    const refusal = internals.condition?.handshake ? null : refusalOf(error);
    if (refusal === null || item.command.name === 'ping') return passOn(error, item);
    let mayHelp = true;
    if (refusal === 'elsewhere') {
      const address = movedTo(error);
      if (address !== null) {
        if (!options.isSearched) return passOn(error, item); // the address leads to the same node again
        options.learn({ host: address.host || redis.stream.remoteAddress || '', port: address.port });
      }
      mayHelp = replaceLink() || options.isSearched;
    }
    if (options.isSearched && isClusterDown(error)) {
      downSinceMs ??= performance.now();
      if (performance.now() - downSinceMs >= DOWN_FOR_MS) replaceLink();
    }
    const { command } = item;
    const isPart = command.pipelineIndex !== undefined || command.inTransaction === true;
    if (mayHelp && options.resends && !isPart) waiting.add(command, error);
    else passOn(error, item);
  };
}

/**
 * Returns what replaces the link, unless that was done a short while ago, and tells whether it is being replaced. A client
 * that rejects what is in flight waits for the answers first: these commands are refused as well, but nobody would know.
 */
function linkReplacer(redis: Redis, { keptForMs }: ResendOptions): () => boolean {
  const internals = redis as unknown as Internals;
  const isLeft = redis.options.autoResendUnfulfilledCommands === true;
  let nextMs = 0;
  let leaving: NodeJS.Timeout | undefined;
  redis.on('close', () => {
    clearInterval(leaving);
    leaving = undefined;
  });
  return () => {
    if (leaving !== undefined || redis.status !== 'ready') return true;
    const nowMs = performance.now();
    if (nowMs < nextMs) return false;
    nextMs = nowMs + keptForMs;
    leaving = setInterval(() => {
      if (!isLeft && internals.commandQueue.length > 0 && performance.now() < nowMs + LEAVING_MS) return;
      clearInterval(leaving);
      if (redis.status === 'ready') redis.disconnect(true);
    }, LOOK_MS);
    return true;
  };
}

interface Waiting {
  readonly command: Command;
  /** The last refusal. */
  error: Error;
  /** When it is passed on. */
  readonly untilMs: number;
  nextMs: number;
}

/** The commands that were refused, until they are sent again. They are not ioredis', which would reject them with the link. */
class WaitingCommands {
  readonly #redis: Redis;
  readonly #waiting = new Set<Waiting>();
  /** Until when a command that was sent again may be refused once more. */
  readonly #untilMs = new WeakMap<Command, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: Redis) {
    this.#redis = redis;
    redis.on('end', () => this.#clear()); // whatever has no answer then is rejected
  }

  add(command: Command, error: Error): void {
    const nowMs = performance.now();
    const untilMs = this.#untilMs.get(command) ?? nowMs + RESENT_FOR_MS;
    this.#untilMs.set(command, untilMs);
    this.#waiting.add({ command, error, untilMs, nextMs: nowMs + PAUSE_MS * (1 + Math.random()) });
    this.#timer ??= setInterval(() => this.#turn(), PAUSE_MS / 2);
  }

  #turn(): void {
    const nowMs = performance.now();
    for (const one of this.#waiting) {
      if (nowMs >= one.untilMs) {
        this.#waiting.delete(one);
        one.command.reject(one.error);
      } else if (nowMs >= one.nextMs && this.#redis.status === 'ready') {
        this.#waiting.delete(one);
        this.#redis.sendCommand(one.command);
      }
    }
    if (this.#waiting.size === 0) this.#clear();
  }

  #clear(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#waiting.clear();
  }
}
