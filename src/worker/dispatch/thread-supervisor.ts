/**
 * Keeps a thread on every lane: starts one for each, replaces those that die, and gives up when they keep dying as they
 * start. The lane of the suspect has a thread only while the dispatcher needs one.
 *
 * Owns the rule that the worker waits for no thread that cannot be ended.
 */

import { hasBegun, SlotState } from '../../channel/slots.js';
import { monotonicMs } from '../../core/clock.js';
import { ThreadBootError } from '../../core/errors.js';
import { pause, within } from '../../core/service.js';
import type { Logger } from '../../tasks/context.js';
import { type Manifest, mergeManifests } from '../../tasks/manifest.js';
import { type Delivery, keyOf } from '../delivery.js';
import type { Thread, ThreadDeath } from '../threads/thread.js';
import type { Dispatcher } from './dispatcher.js';
import type { Lane } from './lane.js';

/**
 * After this many threads in a row that fail to start, or die soon after without having run anything, the next one would
 * meet the same problem.
 */
const FAILED_STARTS = 5;
/** A thread that dies unused within this time counts as one that failed to start. */
const EARLY_DEATH_MS = 5_000;
const FIRST_BACKOFF_MS = 100;
/** Least time for an idle thread to dispose of its shared dependencies, even when others took all that was left. */
const LEAST_DISPOSAL_MS = 500;
/** How long a thread may take to end once it was terminated. Only native code takes longer. */
const TERMINATION_MS = 500;
/** Maximum number of executions that the line about a dead thread names. */
const LOGGED_RUNS = 20;

export interface ThreadSupervisorOptions {
  readonly dispatcher: Dispatcher;
  readonly logger: Logger;
  /** Starts a thread. Gives up and rejects when the signal aborts before the thread has loaded the tasks. */
  start(lane: Lane, signal: AbortSignal): Promise<Thread>;
  /** Called when the threads together can run other tasks than before, or under other policies. */
  onManifest(manifest: Manifest): void;
  /** Called when threads can no longer be started: the worker must end. */
  onBroken(error: Error): void;
}

export class ThreadSupervisor {
  readonly #options: ThreadSupervisorOptions;
  readonly #stopping = new AbortController();
  readonly #threads = new Map<Thread, Lane>();
  readonly #retired = new WeakSet<Thread>();
  /** Threads that are starting. */
  readonly #starting = new Set<Promise<void>>();
  #threadlessSinceMs = monotonicMs();
  #manifest: Manifest = { tasks: [], fallback: null };

  constructor(options: ThreadSupervisorOptions) {
    this.#options = options;
  }

  /**
   * Starts a thread for each lane, and returns the manifest of the threads.
   * @throws the error of a task module that fails to load; no thread is left behind
   */
  async start(): Promise<Manifest> {
    const { lanes } = this.#options.dispatcher;
    const starts = await Promise.allSettled(lanes.map((lane) => this.#track(this.#staff(lane))));
    const failed = starts.find((start) => start.status === 'rejected');
    if (failed) {
      await this.#endAll(() => 0);
      throw failed.reason;
    }
    return this.#manifest;
  }

  /**
   * Ends all threads: those that run something at once. The others first dispose of their shared dependencies, if they
   * can do so in `graceMs`, or in half a second when that is more. Threads that do not end even then are abandoned.
   */
  async stop(graceMs: number): Promise<void> {
    await this.#endAll((lane) => (lane.shipments.size > 0 ? 0 : Math.max(graceMs, LEAST_DISPOSAL_MS)));
  }

  async #endAll(graceOf: (lane: Lane) => number): Promise<void> {
    this.#stopping.abort();
    const ends = [...this.#threads].map(([thread, lane]) => {
      const graceMs = graceOf(lane);
      return within(thread.terminate(graceMs), graceMs + TERMINATION_MS);
    });
    await Promise.all([...ends, within(Promise.allSettled(this.#starting), TERMINATION_MS)]);
    for (const [thread, lane] of this.#threads) this.#abandon(thread, lane);
  }

  /**
   * Gives up a thread that is in native code, which nothing can interrupt. It runs no more JavaScript: it ends when that
   * call returns. Its shipments count as lost at once, so that the worker need not wait.
   */
  #abandon(thread: Thread, lane: Lane): void {
    const { dispatcher, logger } = this.#options;
    this.#threads.delete(thread);
    const text =
      'a worker thread is in native code and cannot be ended: it is abandoned, and ends when that call returns';
    logger.warn({ lane: lane.index }, text);
    dispatcher.detach(lane);
  }

  /** For how many milliseconds there has been no thread at all. */
  get threadlessMs(): number {
    const { lanes } = this.#options.dispatcher;
    const isAny = [...this.#threads.values()].some((lane) => lanes.includes(lane));
    return isAny ? 0 : monotonicMs() - this.#threadlessSinceMs;
  }

  #track(starting: Promise<void>): Promise<void> {
    this.#starting.add(starting);
    const forget = () => void this.#starting.delete(starting);
    starting.then(forget, forget);
    return starting;
  }

  /** Starts a thread for the suspect, which is not replaced when it has ended. */
  startForSuspect(lane: Lane): void {
    const { dispatcher, logger } = this.#options;
    const starting = this.#staff(lane).catch((error) => {
      if (this.#stopping.signal.aborted) return; // the start was given up
      logger.error({ error: String(error) }, 'the thread of a suspect failed to start');
      dispatcher.suspectThreadFailed();
    });
    void this.#track(starting);
  }

  /** Ends a spent thread. It has `graceMs`, or half a second, to dispose of its shared dependencies. */
  retire(thread: Thread, graceMs: number): void {
    this.#retired.add(thread);
    void thread.terminate(Math.max(graceMs, LEAST_DISPOSAL_MS));
  }

  /** Puts a thread on the lane. `failures` counts the threads before it that failed to start or died unused. */
  async #staff(lane: Lane, failures = 0): Promise<void> {
    const { dispatcher } = this.#options;
    const thread = await this.#options.start(lane, this.#stopping.signal);
    if (this.#stopping.signal.aborted) return await thread.terminate(0);
    const startedMs = monotonicMs();
    this.#threads.set(thread, lane);
    this.#updateManifest();
    dispatcher.attach(lane, thread);
    thread.exited.then(() => {
      if (!this.#threads.delete(thread)) return; // it was abandoned
      this.#updateManifest();
      this.#threadlessSinceMs = monotonicMs();
      const wasEnded = lane.ending !== null;
      const hasRun = this.#hasRun(lane, thread);
      const running = this.#runningOn(lane);
      const death = thread.death?.() ?? null;
      dispatcher.detach(lane, death);
      if (this.#stopping.signal.aborted) return;
      const isKept = dispatcher.lanes.includes(lane);
      if (death && !wasEnded) this.#logDeath(lane, death, running);
      else if (isKept) this.#logReplacement(lane, thread, wasEnded);
      if (!isKept) return;
      const hasFailed = !this.#retired.has(thread) && !hasRun && monotonicMs() - startedMs < EARLY_DEATH_MS;
      void this.#track(this.#replace(lane, hasFailed ? failures + 1 : 0));
    });
  }

  /**
   * Follows which tasks the threads can run. They may differ after a deploy in place, because a later thread loads the
   * modules as they are then. While there is no thread, the next one is expected to be like the last. The thread of a
   * suspect does not count, since nothing else runs there.
   */
  #updateManifest(): void {
    const { dispatcher, onManifest } = this.#options;
    const kept = [...this.#threads].filter(([, lane]) => dispatcher.lanes.includes(lane));
    if (kept.length === 0) return;
    const manifest = mergeManifests(kept.map(([thread]) => thread.manifest));
    if (JSON.stringify(manifest) === JSON.stringify(this.#manifest)) return;
    this.#manifest = manifest;
    onManifest(manifest);
  }

  /**
   * Whether anything has begun on the thread. A task may leave a timer that throws after it returned: then the thread
   * dies idle soon after its start, and its start has not failed.
   */
  #hasRun(lane: Lane, thread: Thread): boolean {
    const { slots } = this.#options.dispatcher;
    return thread.hasRun?.() === true || [...lane.shipments].some(({ row }) => hasBegun(slots.state(row)));
  }

  #logReplacement({ index, tasksPerThread }: Lane, thread: Thread, wasEnded: boolean): void {
    const { logger } = this.#options;
    const fields = { lane: index };
    if (this.#retired.has(thread)) {
      logger.info(fields, `a worker thread has run ${tasksPerThread} executions and is replaced`);
    } else logger.warn(fields, `a worker thread ${wasEnded ? 'was ended' : 'died'} and is replaced`);
  }

  /**
   * Logs what ended a thread and what ran there: one of these did it, or a timer that an earlier execution left behind.
   */
  #logDeath({ index }: Lane, { line, error }: ThreadDeath, running: readonly Delivery[]): void {
    const named = running.map((delivery) => ({ task: delivery.envelope.task, key: keyOf(delivery) }));
    const suspects = named.length === 1 ? named[0] : { running: named.slice(0, LOGGED_RUNS) };
    const fields = { lane: index, ...suspects, ...(error.stack && { stack: error.stack }) };
    const what = this.#options.dispatcher.lanes[index]
      ? 'a worker thread died and is replaced'
      : 'the thread of a suspect died';
    this.#options.logger.error(fields, `${what}: ${line}`);
  }

  /** Returns what had started on the lane and had not ended. */
  #runningOn(lane: Lane): Delivery[] {
    const { slots } = this.#options.dispatcher;
    const running = [...lane.shipments].filter(({ row }) => slots.state(row) === SlotState.started);
    return running.map(({ delivery }) => delivery);
  }

  async #replace(lane: Lane, failuresBefore: number): Promise<void> {
    const { logger, onBroken } = this.#options;
    let problem: unknown = new Error('they die soon after they have loaded the tasks');
    for (let failures = failuresBefore; !this.#stopping.signal.aborted; failures++) {
      if (failures >= FAILED_STARTS) {
        const text = `threads fail to start: ${problem instanceof Error ? problem.message : String(problem)}`;
        return onBroken(new ThreadBootError(text, { cause: problem }));
      }
      if (failures > 0) await pause(FIRST_BACKOFF_MS * 2 ** (failures - 1), this.#stopping.signal);
      try {
        return await this.#staff(lane, failures);
      } catch (error) {
        if (this.#stopping.signal.aborted) return; // the start was given up
        problem = error;
        logger.error({ error: String(error), failures: failures + 1 }, 'a worker thread failed to start');
      }
    }
  }
}
