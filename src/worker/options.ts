/** The options of a worker: their meaning, their checks, and their defaults, which the command line uses too. */
import { availableParallelism, hostname } from 'node:os';
import { type Duration, toMs } from '../core/duration.js';
import { InvalidOptionError, ModuleReferenceRequiredError } from '../core/errors.js';
import { checkOptionNames, flagOf, optionNames, shown, wholeNumberOf } from '../core/options.js';
import type { FailureBounds } from '../redis/failure-store.js';
import { FAILURE_BYTES_KEPT, FAILURES_KEPT, MOST_PARTITIONS } from '../redis/schema.js';
import { collectTasks } from '../tasks/collection.js';
import type { Logger } from '../tasks/context.js';
import { type AnyTask, isTask } from '../tasks/task.js';

/** The options of a worker. A duration is a number of milliseconds, or text such as `'500ms'`, `'30s'` or `'1.5h'`. */
export interface WorkerOptions {
  /**
   * Where the tasks are: one or more modules (`'./tasks.js'`, `'./tasks.js:name'`, a URL, a package), which each thread
   * loads. A collection itself is accepted only with `threads: 0`, because code reaches threads by module reference.
   * @default the built-in tasks alone
   */
  tasks?: string | URL | readonly (string | URL)[] | Readonly<Record<string, AnyTask>>;
  /**
   * The task that runs in place of tasks that no module has, as `module:export`. It gets their arguments, and their name as
   * `ctx.execution.task`. A module can name one too, see `configure`; this option takes precedence. A task itself is
   * accepted only with `threads: 0`.
   * @default none: an execution of an unknown task waits for a worker that has the task
   */
  fallback?: string | URL | AnyTask;
  /**
   * Name of the worker in `execution.worker` and in logs. Several workers may have the same name.
   * @default 'host#pid'
   */
  name?: string;
  /**
   * The number of worker threads. 0 runs tasks on the thread of the worker itself, for tests and embedding: a busy task then
   * stalls leases too.
   * @default the number of cores
   */
  threads?: number;
  /**
   * The number of executions that run at once, over all threads. Raise it for tasks that mostly wait; each thread then runs
   * several. 100,000 at most. There are never more threads than this, apart from the thread of a suspect.
   * @default one per thread
   */
  concurrency?: number;
  /**
   * The numbers of the partitions that this worker reads, such as `[0, 3]`. Partitions that were removed and still have work
   * are read in any case.
   * @default all of them
   */
  partitions?: readonly number[];
  /**
   * The lease: how long a worker may be silent before its executions are given to others, 100 ms or more. The worker renews
   * it after each third, from a thread that runs no tasks, so tasks may take much longer. A shorter lease finds a lost
   * worker sooner; a longer one forgives longer outages.
   * @default '30s'
   */
  redeliveryTimeout?: Duration;
  /**
   * The longest pause between two attempts to reach Redis again. The first attempts come sooner: after 50 ms, then doubling.
   * @default '2s'
   */
  reconnectionDelay?: Duration;
  /**
   * How long a worker waits for its server at the start. A problem that waiting cannot change, such as a wrong password, ends it
   * at once. Once it has been connected, a worker waits out any outage.
   * @default for ever
   */
  connectTimeout?: Duration;
  /**
   * The longest blocking read, 1 ms or more. An idle worker sends one read in this time. It bounds how late a worker notices
   * that it should stop, on a server that cannot cut a read short.
   * @default '2s'
   */
  minimumCheckInterval?: Duration;
  /**
   * The longest time between two looks of a worker at the schedule, 1 ms or more. It is woken for earlier executions, so this
   * is only a safety net for a lost wake-up. Each heartbeat is such a look, too.
   * @default '5s'
   */
  schedulingResolution?: Duration;
  /**
   * Whether this worker starts the chains of automatic perpetual tasks.
   * @default true
   */
  scheduleAutomaticTasks?: boolean;
  /**
   * Whether the executions that end in this worker keep their arguments (`execution.args` of `getExecution`) as long as
   * their state, their `executionTtl`. It costs Redis about a fifth more time for each, and the memory of the arguments.
   * @default false: only the handle that added an execution still has its arguments then
   */
  keepArguments?: boolean;
  /**
   * How long executions that fail for good on this worker are kept as failures, with arguments and error, for `docket.failures()`
   * and `docket.retry()`. 0 keeps none, except quarantined ones.
   * @default '7d'
   */
  failureTtl?: Duration;
  /**
   * Maximum number of failures that are kept, at least 1. The oldest are removed first. Give all workers of a docket the same
   * bounds: each worker applies its own to the whole docket whenever it keeps a failure.
   * @default 10_000
   */
  maxFailures?: number;
  /**
   * Maximum size of the failures that are kept, with their arguments and errors, in bytes, at least 1. The oldest are removed
   * first.
   * @default 268_435_456 (256 MiB)
   */
  maxFailureBytes?: number;
  /**
   * Whether this worker writes its counts to the history, which `docket.history()` and `docket stats` read. That takes one command
   * per heartbeat while it runs work. Redis keeps the history for two days.
   * @default true
   */
  history?: boolean;
  /**
   * How long a stopping worker lets tasks finish, including the time to end those that do not. Keep it below the grace
   * period of whatever sends SIGTERM (30 s by default in Kubernetes).
   * @default '25s'
   */
  drainTimeout?: Duration;
  /**
   * How long a task may take to stop when it is asked to, before its thread is ended.
   * @default '1s'
   */
  abortGrace?: Duration;
  /**
   * How often an execution may take its thread or process down with it before it fails with PoisonedError, 1 or more.
   * @default 5
   */
  maxDeliveries?: number;
  /**
   * The number of executions that a thread runs before it is replaced, for tasks that leak memory. Such a thread takes no
   * more, finishes what it has, disposes of its shared dependencies, and is ended. Has no effect with `threads: 0`.
   * @default no bound
   */
  maxTasksPerThread?: number;
  /**
   * Memory for the objects of one thread, in MB, 16 or more. A thread that needs more is ended and replaced, which counts as
   * a death of the thread for its executions. Buffers are not included.
   * @default what Node gives a thread
   */
  maxThreadMemory?: number;
  /**
   * Serves `/` and `/healthz` (live) and `/readyz` (ready) on this port; 0 takes any free port and logs it. It may be the
   * same as `metricsPort`.
   * @default none
   */
  healthcheckPort?: number;
  /**
   * Serves `/metrics` on this port, for Prometheus; 0 takes any free port and logs it.
   * @default none
   */
  metricsPort?: number;
  /**
   * The address on which these ports listen. `'0.0.0.0'` or `'::'` listens on all interfaces, which probes and scrapers
   * outside this machine or pod need.
   * @default '127.0.0.1'
   */
  httpHost?: string;
  /**
   * Where log lines go; any pino logger fits. Each line has the fields `docket` and `worker`. If the logger throws, that
   * line is lost, and the process warns the first time. Each attempt is logged at `debug`, unless
   * `isLevelEnabled('debug')` says that nobody reads that level.
   * @default warnings and errors as JSON on stderr
   */
  logger?: WorkerLogger;
}

/** A logger, with a way to ask whether lines of a level are read. Without it, all of them count as read. */
export interface WorkerLogger extends Logger {
  isLevelEnabled?(level: string): boolean;
}

/** Whether anybody reads lines of this level, as far as the logger knows. */
export function isLevelEnabled(logger: WorkerLogger, level: 'debug' | 'info'): boolean {
  return logger.isLevelEnabled?.(level) ?? true;
}

/** Where tasks come from: modules that each thread loads, or the tasks themselves, which cannot leave this thread. */
type TaskSource =
  | { readonly kind: 'modules'; readonly references: readonly string[] }
  | { readonly kind: 'values'; readonly tasks: ReadonlyMap<string, AnyTask> };

/** A module reference, or the task itself; `null` for none. */
type FallbackSource = string | AnyTask | null;

/** The options as the worker uses them: checked, with defaults, and durations in milliseconds. */
export interface WorkerSettings {
  readonly tasks: TaskSource;
  readonly fallback: FallbackSource;
  readonly name: string;
  readonly threads: number;
  readonly concurrency: number;
  /** `null` for all. */
  readonly partitions: readonly number[] | null;
  readonly leaseMs: number;
  readonly longestPauseMs: number;
  /** How long to wait for the server at the start; `null` for ever. */
  readonly connectTimeoutMs: number | null;
  readonly longestReadMs: number;
  readonly schedulingResolutionMs: number;
  readonly schedulesAutomaticTasks: boolean;
  readonly keepsArguments: boolean;
  /** `null` when no failures are kept. */
  readonly failureBounds: FailureBounds | null;
  readonly writesHistory: boolean;
  readonly drainTimeoutMs: number;
  readonly abortGraceMs: number;
  readonly maxDeliveries: number;
  /** Infinity for no bound. */
  readonly maxTasksPerThread: number;
  /** `null` for what Node gives a thread. */
  readonly maxThreadMemoryMb: number | null;
  /** `null` for none, 0 for any. */
  readonly healthcheckPort: number | null;
  readonly metricsPort: number | null;
  readonly httpHost: string;
}

export const WORKER_DEFAULTS = {
  redeliveryTimeout: '30s',
  reconnectionDelay: '2s',
  minimumCheckInterval: '2s',
  schedulingResolution: '5s',
  scheduleAutomaticTasks: true,
  keepArguments: false,
  failureTtl: '7d',
  maxFailures: FAILURES_KEPT,
  maxFailureBytes: FAILURE_BYTES_KEPT,
  history: true,
  drainTimeout: '25s',
  abortGrace: '1s',
  maxDeliveries: 5,
  httpHost: '127.0.0.1',
} as const satisfies WorkerOptions;

/** Executions that run at once, and those shipped behind them, must fit into a slot table (`MAX_ROWS`). */
const MAX_CONCURRENCY = 100_000;

const OPTION_NAMES = optionNames<WorkerOptions>({
  tasks: true,
  fallback: true,
  name: true,
  threads: true,
  concurrency: true,
  partitions: true,
  redeliveryTimeout: true,
  reconnectionDelay: true,
  connectTimeout: true,
  minimumCheckInterval: true,
  schedulingResolution: true,
  scheduleAutomaticTasks: true,
  keepArguments: true,
  failureTtl: true,
  maxFailures: true,
  maxFailureBytes: true,
  history: true,
  drainTimeout: true,
  abortGrace: true,
  maxDeliveries: true,
  maxTasksPerThread: true,
  maxThreadMemory: true,
  healthcheckPort: true,
  metricsPort: true,
  httpHost: true,
  logger: true,
});

/**
 * Checks the options and fills in the defaults.
 * @throws InvalidOptionError, ModuleReferenceRequiredError naming the option that cannot be used
 */
export function resolveWorkerOptions(options: WorkerOptions): WorkerSettings {
  checkOptionNames(options, OPTION_NAMES, '');
  const threads = wholeNumberOf(options.threads ?? availableParallelism(), 0, 'threads');
  const concurrency = wholeNumberOf(options.concurrency ?? Math.max(1, threads), 1, 'concurrency');
  if (concurrency > MAX_CONCURRENCY) {
    throw new InvalidOptionError('concurrency', `expected ${MAX_CONCURRENCY} at most, got ${concurrency}`);
  }
  const duration = (
    option: 'redeliveryTimeout' | 'reconnectionDelay' | 'minimumCheckInterval' | 'schedulingResolution',
    minimumMs: number,
  ) => wholeNumberOf(toMs(options[option] ?? WORKER_DEFAULTS[option], option), minimumMs, option);
  const flag = (option: 'scheduleAutomaticTasks' | 'keepArguments' | 'history') =>
    flagOf(options[option] ?? WORKER_DEFAULTS[option], option);
  return {
    tasks: taskSource(options.tasks, threads),
    fallback: fallbackSource(options.fallback, threads),
    name: options.name ?? `${hostname()}#${process.pid}`,
    threads: Math.min(threads, concurrency),
    concurrency,
    partitions: partitionsOf(options.partitions),
    leaseMs: duration('redeliveryTimeout', 100),
    longestPauseMs: duration('reconnectionDelay', 1),
    connectTimeoutMs:
      options.connectTimeout === undefined
        ? null
        : wholeNumberOf(toMs(options.connectTimeout, 'connectTimeout'), 1, 'connectTimeout'),
    longestReadMs: duration('minimumCheckInterval', 1),
    schedulingResolutionMs: duration('schedulingResolution', 1),
    schedulesAutomaticTasks: flag('scheduleAutomaticTasks'),
    keepsArguments: flag('keepArguments'),
    failureBounds: failureBounds(options),
    writesHistory: flag('history'),
    drainTimeoutMs: toMs(options.drainTimeout ?? WORKER_DEFAULTS.drainTimeout, 'drainTimeout'),
    abortGraceMs: toMs(options.abortGrace ?? WORKER_DEFAULTS.abortGrace, 'abortGrace'),
    maxDeliveries: wholeNumberOf(options.maxDeliveries ?? WORKER_DEFAULTS.maxDeliveries, 1, 'maxDeliveries'),
    maxTasksPerThread:
      options.maxTasksPerThread === undefined || threads === 0
        ? Number.POSITIVE_INFINITY
        : wholeNumberOf(options.maxTasksPerThread, 1, 'maxTasksPerThread'),
    maxThreadMemoryMb:
      options.maxThreadMemory === undefined ? null : wholeNumberOf(options.maxThreadMemory, 16, 'maxThreadMemory'),
    healthcheckPort: portOf(options.healthcheckPort, 'healthcheckPort'),
    metricsPort: portOf(options.metricsPort, 'metricsPort'),
    httpHost: hostOf(options.httpHost ?? WORKER_DEFAULTS.httpHost),
  };
}

function partitionsOf(partitions: WorkerOptions['partitions']): readonly number[] | null {
  if (partitions === undefined) return null;
  const isNumber = (one: unknown) => Number.isInteger(one) && (one as number) >= 0 && (one as number) < MOST_PARTITIONS;
  if (Array.isArray(partitions) && partitions.length > 0 && partitions.every(isNumber)) return [...new Set(partitions)];
  const problem = `expected numbers of partitions, 0 to ${MOST_PARTITIONS - 1}, such as [0, 3]`;
  throw new InvalidOptionError('partitions', `${problem}, got ${shown(partitions)}`);
}

function failureBounds({ failureTtl, maxFailures, maxFailureBytes }: WorkerOptions): FailureBounds | null {
  const ttlMs = toMs(failureTtl ?? WORKER_DEFAULTS.failureTtl, 'failureTtl');
  const maxCount = wholeNumberOf(maxFailures ?? WORKER_DEFAULTS.maxFailures, 1, 'maxFailures');
  const maxBytes = wholeNumberOf(maxFailureBytes ?? WORKER_DEFAULTS.maxFailureBytes, 1, 'maxFailureBytes');
  return ttlMs === 0 ? null : { ttlMs: Math.ceil(ttlMs), maxCount, maxBytes };
}

function taskSource(tasks: WorkerOptions['tasks'], threads: number): TaskSource {
  if (tasks === undefined) return { kind: 'modules', references: [] };
  if (typeof tasks === 'string' || tasks instanceof URL) return { kind: 'modules', references: [String(tasks)] };
  if (Array.isArray(tasks)) {
    if (tasks.some((reference) => typeof reference !== 'string' && !(reference instanceof URL))) {
      throw threads > 0
        ? new ModuleReferenceRequiredError('tasks')
        : new InvalidOptionError('tasks', 'expected module references or a collection');
    }
    return { kind: 'modules', references: tasks.map(String) };
  }
  if (threads > 0) throw new ModuleReferenceRequiredError('tasks');
  return { kind: 'values', tasks: collectTasks(tasks, 'WorkerOptions.tasks') };
}

function fallbackSource(fallback: WorkerOptions['fallback'], threads: number): FallbackSource {
  if (fallback === undefined) return null;
  if (typeof fallback === 'string' || fallback instanceof URL) return String(fallback);
  if (!isTask(fallback)) {
    throw new InvalidOptionError('fallback', "expected a module reference such as './fallback.js:fallback'");
  }
  if (threads > 0) throw new ModuleReferenceRequiredError('fallback');
  return fallback;
}

function portOf(port: number | undefined, option: string): number | null {
  if (port === undefined) return null;
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidOptionError(option, `expected a port, 0 to 65535, got ${shown(port)}`);
}

function hostOf(host: string): string {
  if (typeof host === 'string' && host !== '') return host;
  throw new InvalidOptionError('httpHost', "expected an address such as '127.0.0.1' or '0.0.0.0'");
}
