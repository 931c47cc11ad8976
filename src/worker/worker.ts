/** The public face of a worker: what it can be told, and how it is run and stopped. */
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkKey } from '../core/execution-key.js';
import { aborted } from '../core/service.js';
import { defaultLogger } from '../observe/log.js';
import { TaskCounters } from '../observe/task-counters.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import { closeConnections, openConnections } from './connections.js';
import { Coordinator } from './coordinator.js';
import { AttemptBudget } from './intake/attempt-budget.js';
import { isRead, resolveWorkerOptions, type WorkerLogger, type WorkerOptions, type WorkerSettings } from './options.js';
import { ConnectionWatch } from './watch/connection-watch.js';
import { MonitoringPorts } from './watch/monitoring-ports.js';

/**
 * Runs the work of a docket on threads of this process. Runs once: create another one to run again.
 *
 * @example
 * ```ts
 * const worker = new Worker(docket, { tasks: new URL('./tasks.js', import.meta.url), threads: 4 });
 * process.once('SIGTERM', () => worker.close());
 * await worker.runForever();
 * ```
 */
export class Worker {
  readonly #docket: DocketSettings;
  readonly #producer: Docket;
  readonly #settings: WorkerSettings;
  readonly #logger: WorkerLogger;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  /** @throws InvalidOptionError, ModuleReferenceRequiredError naming the option that cannot be used */
  // biome-ignore lint/suspicious/noExplicitAny: a worker serves a docket of whatever collection
  constructor(docket: Docket<any>, options: WorkerOptions = {}) {
    this.#docket = internalsOf(docket).settings;
    this.#producer = docket;
    this.#settings = resolveWorkerOptions(options);
    this.#logger = options.logger ?? defaultLogger();
  }

  /** Name of the worker, as in `execution.worker`. */
  get name(): string {
    return this.#settings.name;
  }

  /**
   * Runs until `close()` is called or `signal` aborts; resolves when it has drained.
   * @throws PortUnavailableError when `metricsPort` or `healthcheckPort` cannot be listened on
   * @throws RedisUnavailableError when the server cannot be reached at the start; a later outage is waited out
   * @throws TaskModuleError, DuplicateTaskError when the tasks cannot be loaded
   * @throws ThreadBootError when threads fail to start again and again
   */
  async runForever(options: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#start(() => new Promise(() => {}), options.signal);
  }

  /**
   * Runs until nothing is left in the whole docket: nothing queued, scheduled or running, on any worker. Waits for what
   * is scheduled for later.
   * @throws what `runForever` throws
   */
  async runUntilFinished(options: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#start((coordinator, signal) => coordinator.nothingLeft(signal), options.signal);
  }

  /**
   * Runs as `runUntilFinished` does, but what is under the given keys so many times at most: a perpetual task, say, which
   * would go on for ever. Every attempt that this worker claims counts, a retry too. What comes under such a key after
   * that is left to other workers, read again and left again once a second, and not waited for: when this resolves it is
   * still scheduled or queued. `docket.cancel(key)` ends it.
   *
   * @example
   * ```ts
   * await worker.runAtMost({ sweep: 3 }); // three runs of the chain, and everything else to its end
   * ```
   * @throws InvalidOptionError for a key that is not one, or a count that is not a whole number >= 0
   * @throws what `runForever` throws
   */
  async runAtMost(attempts: Readonly<Record<string, number>>, options: { signal?: AbortSignal } = {}): Promise<void> {
    for (const [key, count] of Object.entries(attempts)) {
      checkKey(key);
      if (Number.isSafeInteger(count) && count >= 0) continue;
      throw new InvalidOptionError(`attempts['${key}']`, `expected a whole number >= 0, got ${count}`);
    }
    const allowance = new AttemptBudget(Object.entries(attempts));
    await this.#start((coordinator, signal) => coordinator.nothingLeft(signal), options.signal, allowance);
  }

  /** Stops taking work, finishes or hands back what there is within `drainTimeout`, and ends all threads. Idempotent. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running?.catch(() => undefined); // whoever started it hears of it
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #start(
    finished: Finished,
    signal: AbortSignal | undefined,
    allowance: AttemptBudget = new AttemptBudget(),
  ): Promise<void> {
    if (this.#running) throw new Error('this worker was started before: create another one');
    const stop = () => this.#stopping.abort();
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    this.#running = this.#run(finished, allowance);
    await this.#running.finally(() => signal?.removeEventListener('abort', stop));
  }

  async #run(finished: Finished, allowance: AttemptBudget): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const isCounted = this.#settings.metricsPort !== null || isRead(this.#logger, 'info');
    const tally = isCounted ? new TaskCounters() : null;
    const links = new ConnectionWatch(this.#docket.url, this.#logger);
    const monitor = new MonitoringPorts(this.#docket.name, this.#settings, tally, links, this.#logger);
    const unwatch =
      this.#settings.metricsPort === null
        ? null
        : internalsOf(this.#producer).watchPlacements((what, task) => {
            tally!.of(task)[what] += 1;
          });
    try {
      await monitor.open();
      await this.#serve(finished, allowance, monitor, links);
    } finally {
      unwatch?.();
      await monitor.close();
    }
  }

  async #serve(
    finished: Finished,
    allowance: AttemptBudget,
    monitor: MonitoringPorts,
    links: ConnectionWatch,
  ): Promise<void> {
    const { signal } = this.#stopping;
    const connections = await openConnections(this.#docket, this.#settings, links, signal).catch((error) => {
      if (!signal.aborted) throw error; // closed before it had begun
    });
    if (!connections) return;
    let broken: Error | undefined;
    try {
      const onBroken = (error: Error) => {
        broken = error;
        this.#stopping.abort();
      };
      const coordinator = new Coordinator(
        this.#docket,
        this.#settings,
        connections,
        this.#logger,
        onBroken,
        allowance,
        monitor.tally,
      );
      monitor.watch(coordinator);
      try {
        await coordinator.start(signal);
        await Promise.race([finished(coordinator, signal), aborted(signal)]);
      } finally {
        this.#stopping.abort(); // also ends what `finished` still waits for
        await coordinator.drain();
      }
    } finally {
      links.end();
      await closeConnections(connections);
    }
    if (broken) throw broken;
  }
}

/** Resolves when the worker has done what it was started for. */
type Finished = (coordinator: Coordinator, signal: AbortSignal) => Promise<void>;
