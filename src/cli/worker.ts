/** `docket-worker`: runs a worker until it is told to stop. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../core/duration.js';
import { InvalidOptionError, TaskModuleError } from '../core/errors.js';
import { WORKER_DEFAULTS } from '../worker/options.js';
import { failureLine } from './failure.js';
import { forgetEmptyVariables, refuseEmptyFlags } from './values.js';
import { versionOfPackage } from './version.js';

const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
const LOG_FORMATS = ['pretty', 'plain', 'json'] as const;

/** What the process ends with. */
export const WORKER_EXIT = { drained: 0, failed: 1, usage: 2, interrupted: 130, terminated: 143 } as const;

/** Flags and what they mean, see WorkerOptions; durations are in ms. */
export interface Flags {
  url?: string;
  docket?: string;
  tasks?: string[];
  name?: string;
  threads?: number;
  concurrency?: number;
  redeliveryTimeout?: number;
  reconnectionDelay?: number;
  minimumCheckInterval?: number;
  schedulingResolution?: number;
  drainTimeout?: number;
  abortGrace?: number;
  maxDeliveries?: number;
  fallback?: string;
  maxTasksPerThread?: number;
  maxThreadMemory?: number;
  healthcheckPort?: number;
  metricsPort?: number;
  httpHost?: string;
  scheduleAutomaticTasks?: boolean;
  untilFinished?: boolean;
  loggingLevel: string;
  loggingFormat?: string;
}

const command = new Command('docket-worker')
  .description('Runs the tasks of a docket on worker threads, until SIGTERM or SIGINT.')
  .version(versionOfPackage())
  .addOption(option('--url <url>', 'DOCKET_URL', 'where Redis is', 'redis://localhost:6379/0'))
  .addOption(option('--docket <name>', 'DOCKET_NAME', 'name of the docket', 'docket'))
  .addOption(
    option(
      '--tasks <module...>',
      'DOCKET_TASKS',
      'modules with tasks, as module or module:export; in the environment separated by commas',
    ).argParser((text: string, before: string[] | undefined) => [...(before ?? []), ...text.split(',')]),
  )
  .addOption(option('--name <name>', 'DOCKET_WORKER_NAME', 'name of this worker', 'host#pid'))
  .addOption(option('--threads <n>', 'DOCKET_WORKER_THREADS', 'worker threads', 'one per core').argParser(wholeNumber))
  .addOption(
    option(
      '--concurrency <n>',
      'DOCKET_WORKER_CONCURRENCY',
      'executions at once, over all threads',
      'one per thread',
    ).argParser(wholeNumber),
  )
  .addOption(
    duration(
      '--redelivery-timeout <duration>',
      'DOCKET_WORKER_REDELIVERY_TIMEOUT',
      'redeliveryTimeout',
      'silence after which the executions of this worker are given to others',
    ),
  )
  .addOption(
    duration(
      '--reconnection-delay <duration>',
      'DOCKET_WORKER_RECONNECTION_DELAY',
      'reconnectionDelay',
      'longest pause between two attempts to reach Redis again',
    ),
  )
  .addOption(
    duration(
      '--minimum-check-interval <duration>',
      'DOCKET_WORKER_MINIMUM_CHECK_INTERVAL',
      'minimumCheckInterval',
      'longest blocking read',
    ),
  )
  .addOption(
    duration(
      '--scheduling-resolution <duration>',
      'DOCKET_WORKER_SCHEDULING_RESOLUTION',
      'schedulingResolution',
      'longest sleep of the scheduler',
    ),
  )
  .addOption(
    duration(
      '--drain-timeout <duration>',
      'DOCKET_WORKER_DRAIN_TIMEOUT',
      'drainTimeout',
      'how long a drain takes at most, the abort grace at its end included',
    ),
  )
  .addOption(
    duration(
      '--abort-grace <duration>',
      'DOCKET_WORKER_ABORT_GRACE',
      'abortGrace',
      'how long a task that was told to stop has before its thread is ended',
    ),
  )
  .addOption(
    option(
      '--max-deliveries <n>',
      'DOCKET_WORKER_MAX_DELIVERIES',
      'how often an execution may end its thread or process before it is given up',
      String(WORKER_DEFAULTS.maxDeliveries),
    ).argParser(wholeNumber),
  )
  .addOption(
    option(
      '--fallback <module:export>',
      'DOCKET_FALLBACK_TASK',
      'task that runs in place of those no module has',
      'none',
    ),
  )
  .addOption(
    option(
      '--max-tasks-per-thread <n>',
      'DOCKET_WORKER_MAX_TASKS_PER_THREAD',
      'executions a thread runs before it is replaced by a fresh one',
      'no bound',
    ).argParser(wholeNumber),
  )
  .addOption(
    option(
      '--max-thread-memory <MB>',
      'DOCKET_WORKER_MAX_THREAD_MEMORY',
      'memory for the objects of one thread, which is replaced when it needs more',
      'what Node gives it',
    ).argParser(wholeNumber),
  )
  .addOption(
    option(
      '--healthcheck-port <port>',
      'DOCKET_WORKER_HEALTHCHECK_PORT',
      'port for /healthz (live) and /readyz (ready), 0 for any',
      'none',
    ).argParser(wholeNumber),
  )
  .addOption(
    option(
      '--metrics-port <port>',
      'DOCKET_WORKER_METRICS_PORT',
      'port for /metrics (Prometheus), 0 for any',
      'none',
    ).argParser(wholeNumber),
  )
  .addOption(
    option(
      '--http-host <address>',
      'DOCKET_WORKER_HTTP_HOST',
      'address these ports listen on',
      WORKER_DEFAULTS.httpHost,
    ),
  )
  .option('--schedule-automatic-tasks', 'start the chains of automatic perpetual tasks (default: yes)')
  .option('--no-schedule-automatic-tasks', 'leave that to other workers')
  .option('--until-finished', 'end when nothing is left in the whole docket')
  .addOption(
    option('--logging-level <level>', 'DOCKET_LOGGING_LEVEL', 'least level that is logged')
      .choices(LOG_LEVELS)
      .default('info'),
  )
  .addOption(
    option(
      '--logging-format <format>',
      'DOCKET_LOGGING_FORMAT',
      'form of the log lines',
      'pretty on a terminal, else plain',
    ).choices(LOG_FORMATS),
  )
  .addHelpText(
    'after',
    `
Durations: 250ms, 30s, 5m, 1h, mm:ss, hh:mm:ss. Exit codes: 0 drained or finished, 1 failed, 2 wrong usage,
130 or 143 when a second SIGINT or SIGTERM cut the drain short.`,
  )
  .configureOutput({ outputError: (text, write) => write(failureLine('docket-worker', text)) })
  .exitOverride();

/** The same command as a part of `docket`. */
export function workerSubcommand(): Command {
  return command.name('worker').action(() => execute('docket worker', command.optsWithGlobals<Flags>()));
}

/** Parses the command line, runs the worker, and sets the exit code. Never rejects. */
export async function runWorkerCommand(argv: readonly string[]): Promise<void> {
  forgetEmptyVariables();
  try {
    command.parse(argv);
  } catch (error) {
    // commander has printed its line
    process.exitCode = (error as { exitCode?: number }).exitCode === 0 ? WORKER_EXIT.drained : WORKER_EXIT.usage;
    return;
  }
  await execute('docket-worker', command.opts<Flags>());
}

async function execute(name: string, flags: Flags): Promise<void> {
  try {
    refuseEmptyFlags(command);
    const { runWorker } = await import('./run-worker.js'); // the other commands need nothing of a worker
    await runWorker(flags);
  } catch (error) {
    process.exitCode = error instanceof InvalidOptionError ? WORKER_EXIT.usage : WORKER_EXIT.failed;
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    const cause = error instanceof TaskModuleError ? error.cause : undefined;
    if (cause instanceof Error && cause.stack) console.error(cause.stack); // the user's own error, with its place
  }
}

function option(flags: string, env: string, description: string, fallback?: string): Option {
  return new Option(flags, fallback ? `${description} (default: ${fallback})` : description).env(env);
}

/** Worker options that are durations. */
type DurationName = Exclude<keyof typeof WORKER_DEFAULTS, 'scheduleAutomaticTasks' | 'maxDeliveries' | 'httpHost'>;

function duration(flags: string, env: string, name: DurationName, description: string): Option {
  return new Option(flags, `${description} (default: ${WORKER_DEFAULTS[name]})`).env(env).argParser((text) => {
    try {
      return parseDuration(text, name);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  });
}

function wholeNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError(`'${text}' is not a whole number.`);
}
