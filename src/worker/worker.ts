/** The public face of a worker: how it is made, run and stopped. */
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkKey } from '../core/execution-key.js';
import { checkOptionNames, optionNames, shown, wholeNumberOf } from '../core/options.js';
import { aborted } from '../core/service.js';
import { defaultLogger } from '../observe/log.js';
import { TaskCounters } from '../observe/task-counters.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import { payloadLimit } from '../redis/payload-limit.js';
import { ConnectionPool } from './connection-pool.js';
import { Coordinator } from './coordinator.js';
import { AttemptBudget } from './intake/attempt-budget.js';
import {
  isLevelEnabled,
  resolveWorkerOptions,
  type WorkerLogger,
  type WorkerOptions,
  type WorkerSettings,
} from './options.js';
import { ConnectionWatch } from './watch/connection-watch.js';
import { MonitoringPorts } from './watch/monitoring-ports.js';
import { workerLog } from './worker-log.js';

/**
 * Runs the work of a docket on threads of this process. A worker runs once: create another one to run again.
 *
 * @example
 * ```ts
 * const worker = new Worker(docket, { tasks: new URL('./tasks.js', import.meta.url), threads: 4 });
 * process.once('SIGTERM', () => worker.close());
 * await worker.runForever();
 * ```
 */
export class Worker {
  readonly #docket: Docket;
  readonly #docketSettings: DocketSettings;
  readonly #settings: WorkerSettings;
  readonly #logger: WorkerLogger;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  /**
   * Checks the options; nothing is started or connected yet.
   * @throws InvalidOptionError, ModuleReferenceRequiredError naming the option that cannot be used
   */
  // biome-ignore lint/suspicious/noExplicitAny: a worker serves a docket with any collection
  constructor(docket: Docket<any>, options: WorkerOptions = {}) {
    this.#docket = docket;
    this.#docketSettings = internalsOf(docket).settings;
    this.#settings = resolveWorkerOptions(options);
    const about = { docket: this.#docketSettings.name, worker: this.#settings.name };
    this.#logger = workerLog(options.logger ?? defaultLogger(), about);
  }

  /** The name of the worker, as `execution.worker` shows it. */
  get name(): string {
    return this.#settings.name;
  }

  /**
   * Runs until `close()` is called or `signal` aborts, and resolves when the worker has drained.
   * @throws PortUnavailableError when `metricsPort` or `healthcheckPort` cannot be listened on
   * @throws RedisUnavailableError when the server cannot be used at the start, and waiting does not help or took longer than
   *   `connectTimeout`; a later outage is waited out
   * @throws TaskModuleError, DuplicateTaskError when the tasks cannot be loaded
   * @throws ThreadBootError when threads fail to start again and again
   */
  async runForever(options: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#start(() => new Promise(() => {}), options);
  }

  /**
   * Runs until nothing remains in the whole docket: nothing queued, scheduled or running, on any worker. Waits for
   * executions that are scheduled for later.
   * @throws what `runForever` throws
   */
  async runUntilFinished(options: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#start((coordinator, signal) => coordinator.finished(signal), options);
  }

  /**
   * Runs as `runUntilFinished` does, but runs each of the given keys a limited number of times, for example for a
   * perpetual task that would never end. Every attempt that this worker claims counts, retries included. After that,
   * executions under such a key are left to other workers: this worker requeues them about once a second and does not
   * wait for them. They are still scheduled or queued when this resolves; `docket.cancel(key)` ends them.
   *
   * @example
   * ```ts
   * await worker.runAtMost({ sweep: 3 }); // three runs of the chain, and everything else to its end
   * ```
   * @param attempts - the number of attempts for each key, 0 or more
   * @throws InvalidOptionError for a key that cannot be one, or a count that is not a whole number >= 0
   * @throws what `runForever` throws
   */
  async runAtMost(attempts: Readonly<Record<string, number>>, options: { signal?: AbortSignal } = {}): Promise<void> {
    if (typeof attempts !== 'object' || attempts === null) {
      const problem = `expected the numbers of attempts by key, such as { sweep: 3 }, got ${shown(attempts)}`;
      throw new InvalidOptionError('attempts', problem);
    }
    for (const [key, count] of Object.entries(attempts)) {
      checkKey(key);
      wholeNumberOf(count, 0, `attempts['${key}']`);
    }
    const attemptBudget = new AttemptBudget(Object.entries(attempts));
    await this.#start((coordinator, signal) => coordinator.finished(signal), options, attemptBudget);
  }

  /**
   * Stops taking work, finishes its executions or requeues them within `drainTimeout`, and ends all threads. Resolves
   * when all of that is done. Idempotent.
   */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running?.catch(() => undefined); // the caller of runForever() and the like gets the error
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #start(
    finished: Finished,
    options: { signal?: AbortSignal },
    attemptBudget: AttemptBudget = new AttemptBudget(),
  ): Promise<void> {
    checkOptionNames(options, RUN_OPTIONS, '');
    const { signal } = options;
    if (this.#running) throw new Error('this worker was started before: create another one');
    const stop = () => this.#stopping.abort();
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    this.#running = this.#run(finished, attemptBudget);
    await this.#running.finally(() => signal?.removeEventListener('abort', stop));
  }

  /** Opens the monitoring ports, runs the worker, and closes the ports. */
  async #run(finished: Finished, attemptBudget: AttemptBudget): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const { name: docket, url } = this.#docketSettings;
    const settings = this.#settings;
    const logger = this.#logger;
    const isCounted = settings.writesHistory || settings.metricsPort !== null || isLevelEnabled(logger, 'info');
    const counters = isCounted ? new TaskCounters() : null;
    const connectionWatch = new ConnectionWatch(url, logger);
    const ports = new MonitoringPorts({ docket, settings, counters, connectionWatch, logger });
    const unwatchPlacements =
      settings.metricsPort === null
        ? null
        : internalsOf(this.#docket).watchPlacements((placement, task) => {
            counters!.of(task)[placement] += 1;
          });
    try {
      await ports.open();
      await this.#serve({ finished, attemptBudget, counters, connectionWatch, ports });
    } finally {
      unwatchPlacements?.();
      await ports.close();
    }
  }

  /** Opens the connections, and runs a coordinator on them. */
  async #serve(session: Session): Promise<void> {
    const { signal } = this.#stopping;
    const options = {
      docket: this.#docketSettings,
      settings: this.#settings,
      watch: session.connectionWatch,
    };
    const connections = await ConnectionPool.open(options, signal).catch((error) => {
      if (!signal.aborted) throw error; // else the worker was closed before it had begun
    });
    if (!connections) return;
    try {
      await this.#coordinate(session, connections);
    } finally {
      await connections.close();
    }
  }

  /** Returns the settings of the docket, with `maxPayloadBytes` lowered to what the server takes. */
  async #limitPayloads({ first }: ConnectionPool): Promise<DocketSettings> {
    const settings = this.#docketSettings;
    const asked = payloadLimit(first.commands, settings.maxPayloadBytes);
    const maxPayloadBytes = await Promise.race([asked, aborted(this.#stopping.signal)]);
    if (maxPayloadBytes === undefined || maxPayloadBytes === settings.maxPayloadBytes) return settings;
    const fields = { maxPayloadBytes: settings.maxPayloadBytes, limit: maxPayloadBytes };
    this.#logger.warn(fields, 'maxPayloadBytes is lowered to what the server takes: see its proto-max-bulk-len');
    return { ...settings, maxPayloadBytes };
  }

  async #coordinate({ finished, attemptBudget, counters, ports }: Session, connections: ConnectionPool): Promise<void> {
    const { signal } = this.#stopping;
    let broken: Error | undefined;
    const coordinator = new Coordinator({
      docket: await this.#limitPayloads(connections),
      settings: this.#settings,
      connections,
      logger: this.#logger,
      attemptBudget,
      counters,
      onBroken: (error) => {
        broken = error;
        this.#stopping.abort();
      },
    });
    ports.attach(coordinator);
    try {
      await coordinator.start(signal);
      await Promise.race([finished(coordinator, signal), aborted(signal)]);
    } finally {
      this.#stopping.abort(); // also ends the wait in `finished`
      await coordinator.drain();
    }
    if (broken) throw broken;
  }
}

const RUN_OPTIONS = optionNames<{ signal: unknown }>({ signal: true });

/** Resolves when the worker has reached the end that its `run...` method asked for. */
type Finished = (coordinator: Coordinator, signal: AbortSignal) => Promise<void>;

/** The parts that exist while the worker runs. */
interface Session {
  readonly finished: Finished;
  readonly attemptBudget: AttemptBudget;
  readonly counters: TaskCounters | null;
  readonly connectionWatch: ConnectionWatch;
  readonly ports: MonitoringPorts;
}
