/**
 * Keeps every lane manned: starts a thread for each, replaces those that die, and gives up when they keep dying at boot.
 */
import { ThreadBootError } from '../core/errors.js';
import { pause } from '../core/service.js';
import type { Logger } from '../tasks/context.js';
import type { TaskManifest } from '../tasks/manifest.js';
import type { Dispatcher } from './dispatcher.js';
import type { Lane } from './lane.js';
import type { Thread } from './thread.js';

/** A thread that dies so soon has a problem that its replacement will meet as well. */
const FAILED_BOOTS = 5;
const FIRST_BACKOFF_MS = 100;

export interface CrewOptions {
  readonly dispatcher: Dispatcher;
  readonly logger: Logger;
  start(lane: Lane): Promise<Thread>;
  /** Threads cannot be started any more: the worker must end. */
  onBroken(error: Error): void;
}

export class Crew {
  readonly #options: CrewOptions;
  readonly #stopping = new AbortController();
  readonly #threads = new Set<Thread>();
  readonly #restarts = new Set<Promise<void>>();

  constructor(options: CrewOptions) {
    this.#options = options;
  }

  /**
   * Starts a thread per lane; answers with what they can run.
   * @throws the error of a task module that fails to load; no thread is left behind
   */
  async start(): Promise<readonly TaskManifest[]> {
    const starts = await Promise.allSettled(this.#options.dispatcher.lanes.map((lane) => this.#man(lane)));
    const failed = starts.find((start) => start.status === 'rejected');
    if (failed) {
      await this.stop();
      throw failed.reason;
    }
    return [...this.#threads][0]!.manifest;
  }

  /** Ends all threads, whatever they run. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#threads].map((thread) => thread.terminate()));
    await Promise.all(this.#restarts);
  }

  async #man(lane: Lane): Promise<void> {
    const thread = await this.#options.start(lane);
    if (this.#stopping.signal.aborted) return await thread.terminate();
    this.#threads.add(thread);
    this.#options.dispatcher.attach(lane, thread);
    thread.exited.then(() => {
      this.#threads.delete(thread);
      this.#options.dispatcher.detach(lane);
      if (this.#stopping.signal.aborted) return;
      this.#options.logger.warn({ lane: lane.index }, 'a worker thread died and is replaced');
      const restart = this.#replace(lane).finally(() => this.#restarts.delete(restart));
      this.#restarts.add(restart);
    });
  }

  async #replace(lane: Lane): Promise<void> {
    const { logger, onBroken } = this.#options;
    let backoffMs = FIRST_BACKOFF_MS;
    for (let failures = 1; !this.#stopping.signal.aborted; failures++) {
      try {
        return await this.#man(lane);
      } catch (cause) {
        if (failures === FAILED_BOOTS) {
          return onBroken(new ThreadBootError(`threads fail to start: ${(cause as Error).message}`, { cause }));
        }
        logger.error({ error: String(cause), failures }, 'a worker thread failed to start, trying again');
        await pause(backoffMs, this.#stopping.signal);
        backoffMs *= 2;
      }
    }
  }
}
