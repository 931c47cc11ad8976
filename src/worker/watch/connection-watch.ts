/**
 * Watches the worker's links to Redis: tells of an outage when it begins and when it is over, a line each however many links
 * break and however often the client tries again, and counts the links that broke.
 */

import { monotonicMs } from '../../core/clock.js';
import { maskUrl } from '../../redis/url.js';
import type { Logger } from '../../tasks/context.js';
import type { Connections } from '../connections.js';

type LinkName = keyof Connections;

export class ConnectionWatch {
  /** How often each link broke. */
  readonly disruptions: Record<LinkName, number> = { commands: 0, blocking: 0, subscriber: 0 };
  readonly #url: string;
  readonly #logger: Logger;
  readonly #broken = new Set<LinkName>();
  #sinceMs = 0;
  #lastProblem = '';
  #isOver = false;

  constructor(url: string, logger: Logger) {
    this.#url = maskUrl(url);
    this.#logger = logger;
  }

  /** Watches links that are open. */
  watch(connections: Connections): void {
    for (const name of Object.keys(connections) as LinkName[]) {
      connections[name].on('close', () => this.#broke(name));
      connections[name].on('ready', () => this.#isBack(name));
    }
  }

  /** An attempt to connect failed. The next ones mostly say the same. */
  failed(problem: Error): void {
    if (problem.message !== this.#lastProblem) this.#logger.warn({}, problem.message);
    this.#lastProblem = problem.message;
  }

  /** Links that close from now on are closed on purpose. */
  end(): void {
    this.#isOver = true;
  }

  #broke(name: LinkName): void {
    if (this.#isOver || this.#broken.has(name)) return; // also each attempt that fails
    this.disruptions[name] += 1;
    if (this.#broken.size === 0) {
      this.#sinceMs = monotonicMs();
      this.#logger.warn({ connection: name }, `the link to Redis at ${this.#url} broke: trying again`);
    }
    this.#broken.add(name);
  }

  #isBack(name: LinkName): void {
    if (!this.#broken.delete(name) || this.#broken.size > 0) return;
    this.#lastProblem = '';
    const seconds = ((monotonicMs() - this.#sinceMs) / 1_000).toFixed(1);
    this.#logger.info({}, `Redis at ${this.#url} answers again, after ${seconds} s`);
  }
}
