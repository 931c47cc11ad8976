/**
 * Watches the connections to Redis, and counts the links that broke. Owns the rule that an outage does not fill the log: it
 * begins with one line for the first link that broke and one for each new problem (a command that failed, a refused
 * connection), and ends with one line, however many links break and however often the client tries again.
 */
import type { Redis } from 'ioredis';
import { monotonicMs } from '../../core/clock.js';
import { maskUrl } from '../../redis/url.js';
import type { Logger } from '../../tasks/context.js';
import type { Connections } from '../connections.js';

type ConnectionName = keyof Connections;

/** How many problems of one outage are logged: their texts may name servers that change. */
const MOST_PROBLEMS = 32;
/** How many outages are logged in one period. A server that became a replica breaks each link that is used, again and again. */
const MOST_OUTAGES = 2;
const PERIOD_MS = 10_000;
/** The end of a longer outage is logged even if its beginning was not. */
const SHORT_MS = 1_000;

export class ConnectionWatch {
  /** How often links broke, by the role of their connections. */
  readonly disruptions: Record<ConnectionName, number> = { commands: 0, blocking: 0, subscriber: 0 };
  readonly #url: string;
  readonly #logger: Logger;
  readonly #broken = new Set<Redis>();
  #outageSinceMs = 0;
  /** Whether the outage that goes on, or was the last one, was logged. */
  #isLogged = true;
  #period = { endMs: Number.NEGATIVE_INFINITY, outages: 0 };
  /** How many outages there were since one was logged. */
  #unlogged = 0;
  /** The problems of this outage that were logged. The connections of several partitions may have different ones by turns. */
  readonly #problems = new Set<string>();
  #isOpen = false;

  /** `url` is masked before it is logged. */
  constructor(url: string, logger: Logger) {
    this.#url = maskUrl(url);
    this.#logger = logger;
  }

  /**
   * Watches connections that are open, until they are closed on purpose.
   * @param nameOf - returns fields that name what they lead to
   */
  watch(connections: Partial<Connections>, nameOf: () => object = () => ({})): void {
    if (!this.#isOpen && this.#problems.size > 0) this.#logger.info({}, `Redis at ${this.#url} answers now`);
    if (!this.#isOpen) this.#problems.clear();
    this.#isOpen = true;
    for (const [name, redis] of Object.entries(connections) as [ConnectionName, Redis][]) {
      redis.on('close', () => {
        if (redis.status !== 'end') this.#onClose(name, redis, nameOf); // else it was closed on purpose
      });
      redis.on('ready', () => this.#onReady(redis));
      redis.on('end', () => this.#broken.delete(redis));
    }
  }

  /** Logs an attempt to connect that failed, unless one failed in the same way during this outage. */
  logFailure(problem: Error, fields: object = {}): void {
    if (this.#problems.has(problem.message) || this.#problems.size === MOST_PROBLEMS) return;
    const consequence = this.#isOpen ? '' : ': waiting for it'; // else its outage was announced
    this.#logger.warn(fields, `${problem.message}${consequence}`);
    this.#problems.add(problem.message);
  }

  #onClose(name: ConnectionName, redis: Redis, nameOf: () => object): void {
    if (this.#broken.has(redis)) return; // each failed attempt to connect closes it again
    this.disruptions[name] += 1;
    if (this.#broken.size === 0) this.#begin({ connection: name, ...nameOf() });
    this.#broken.add(redis);
  }

  #begin(fields: object): void {
    const nowMs = monotonicMs();
    this.#outageSinceMs = nowMs;
    if (nowMs >= this.#period.endMs) this.#period = { endMs: nowMs + PERIOD_MS, outages: 0 };
    this.#isLogged = this.#period.outages < MOST_OUTAGES;
    if (!this.#isLogged) {
      this.#unlogged += 1;
      return;
    }
    this.#period.outages += 1;
    this.#problems.clear(); // a partition that was opened meanwhile may have left some
    const repeated = this.#unlogged > 0 ? { repeated: this.#unlogged } : {};
    this.#unlogged = 0;
    this.#logger.warn({ ...fields, ...repeated }, `the link to Redis at ${this.#url} broke: trying again`);
  }

  #onReady(redis: Redis): void {
    if (!this.#broken.delete(redis) || this.#broken.size > 0) return;
    const lastedMs = monotonicMs() - this.#outageSinceMs;
    if (!this.#isLogged && lastedMs < SHORT_MS) return;
    this.#problems.clear();
    this.#logger.info({}, `Redis at ${this.#url} answers again, after ${(lastedMs / 1_000).toFixed(1)} s`);
  }
}
