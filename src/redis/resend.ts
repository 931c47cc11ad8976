/**
 * Sends commands again that a server refused: during a failover, while a slot moves to another node, and while data is loaded. All
 * redirections and errors of a failover are handled here.
 *
 * Owns the rule that only refused commands are sent again. Redis refuses a command before it does any of it, and a script before
 * its first line. So sending it again is safe for every role, unlike sending a command whose answer was lost with its link.
 *
 * MOVED, READONLY, MASTERDOWN, and the UNBLOCKED of a master that becomes a replica, mean that the master is elsewhere:
 * the link is replaced, and the connector finds the master. ASK, TRYAGAIN, CLUSTERDOWN and LOADING mean that the server
 * takes the command later. But CLUSTERDOWN may also come from a node that is no longer part of the cluster, and that
 * node will never take the command. So the link is also replaced when CLUSTERDOWN goes on for a second.
 *
 * ASKING is never sent. While a slot moves, neither node runs our scripts, since they name a key that never exists (`runScript`). A
 * single command gets ASK for a key that has left the node; after ASKING, it could create a second key on the other node.
 */
import type { Command, Redis } from 'ioredis';
import { isClusterDown, movedTo, refusalOf } from './reply-errors.js';
import type { Address } from './url.js';

/** How long a command is sent again and again before its caller hears of the refusal. */
const RESENT_FOR_MS = 2_000;
/** The shortest pause before a command is sent again. The longest is twice that; the length is random. */
const PAUSE_MS = 50;
/** How long a node may say that the cluster is down before the master is looked for again. */
const DOWN_FOR_MS = 1_000;
/** How long a link that is to be replaced is kept at most, for the answers that are under way. */
const ANSWERS_AWAITED_MS = 100;
/** How often to look whether all answers are there. */
const LOOK_EVERY_MS = 5;

export interface ResendOptions {
  /** Whether refused commands are sent again. Otherwise only the link is replaced. */
  readonly resends: boolean;
  /** Whether each new link searches for the master. Otherwise it leads to the address in the URL. */
  readonly isSearched: boolean;
  /** How long a new link is kept before it may be replaced again. */
  readonly keptForMs: number;
  /** Remembers the node that has the keys, as a reply has told. */
  learn(address: Address): void;
}

/** A command as ioredis keeps it while it waits for its answer. */
interface SentCommand {
  readonly command: Command & { readonly pipelineIndex?: number; readonly inTransaction?: boolean };
}

/** Parts of ioredis (6.0) that are not in its public interface. */
interface Internals {
  handleReconnection(error: Error, item: SentCommand): void;
  readonly commandQueue: { readonly length: number };
  readonly condition: { readonly handshake?: boolean } | null;
}

/** Handles the error replies of a connection. Other replies do not pass through here. */
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
 * Returns a function that replaces the link, unless it was replaced a short while ago. The function returns whether the
 * link is being replaced. If the client would reject the commands in flight, it waits for their answers first: they are
 * refused as well, and their callers should learn that.
 */
function linkReplacer(redis: Redis, { keptForMs }: ResendOptions): () => boolean {
  const internals = redis as unknown as Internals;
  const keepsCommands = redis.options.autoResendUnfulfilledCommands === true;
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
      if (!keepsCommands && internals.commandQueue.length > 0 && performance.now() < nowMs + ANSWERS_AWAITED_MS) return;
      clearInterval(leaving);
      if (redis.status === 'ready') redis.disconnect(true);
    }, LOOK_EVERY_MS);
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

/** The commands that wait to be sent again. They are kept apart from ioredis, which would reject them when the link breaks. */
class WaitingCommands {
  readonly #redis: Redis;
  readonly #waiting = new Set<Waiting>();
  /** Until when each command is sent again after a refusal. */
  readonly #untilMs = new WeakMap<Command, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: Redis) {
    this.#redis = redis;
    redis.on('end', () => this.#clear()); // `connection.ts` rejects every command without an answer
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
