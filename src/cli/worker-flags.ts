/** The flags of `docket-worker`, with the defaults of `WorkerOptions`. Each that takes a value has an environment variable. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../core/duration.js';
import { WORKER_DEFAULTS } from '../worker/options.js';
import { versionOfPackage } from '../worker/version.js';
import { WORKER_EXIT_CODES_HELP } from './exit-codes.js';
import { failureLine } from './failure.js';
import { DURATIONS_HELP, wholeNumber } from './values.js';

const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
const LOG_FORMATS = ['pretty', 'plain', 'json'] as const;

/** The parsed flags. Most are options of a worker, see `WorkerOptions`; durations are in milliseconds. */
export interface WorkerFlags {
  url?: string;
  docket?: string;
  tasks?: string[];
  name?: string;
  threads?: number;
  concurrency?: number;
  partitions?: number[];
  redeliveryTimeout?: number;
  reconnectionDelay?: number;
  connectTimeout?: number;
  minimumCheckInterval?: number;
  schedulingResolution?: number;
  drainTimeout?: number;
  abortGrace?: number;
  maxDeliveries?: number;
  failureTtl?: number;
  maxFailures?: number;
  maxFailureBytes?: number;
  fallback?: string;
  maxTasksPerThread?: number;
  maxThreadMemory?: number;
  healthcheckPort?: number;
  metricsPort?: number;
  httpHost?: string;
  scheduleAutomaticTasks?: boolean;
  keepArguments?: boolean;
  history?: boolean;
  untilFinished?: boolean;
  loggingLevel: string;
  loggingFormat?: string;
}

/** Makes the command with all flags; the caller adds its action. */
export function workerCommand(name: string): Command {
  return new Command(name)
    .description('Runs the tasks of a docket on worker threads, until SIGTERM or SIGINT.')
    .version(versionOfPackage())
    .addOption(option('--url <url>', 'DOCKET_URL', 'where Redis is', 'redis://localhost:6379/0'))
    .addOption(option('--docket <name>', 'DOCKET_NAME', 'name of the docket', 'docket'))
    .addOption(
      option(
        '--tasks <module...>',
        'DOCKET_TASKS',
        'modules with tasks, as module or module:export; separated by commas in the variable',
      ).argParser((text: string, before: string[] | undefined) => [...(before ?? []), ...text.split(',')]),
    )
    .addOption(option('--name <name>', 'DOCKET_WORKER_NAME', 'name of this worker', 'host#pid'))
    .addOption(count('--threads <n>', 'DOCKET_WORKER_THREADS', 'number of worker threads', 'one per core'))
    .addOption(
      count(
        '--concurrency <n>',
        'DOCKET_WORKER_CONCURRENCY',
        'executions that run at once, over all threads',
        'one per thread',
      ),
    )
    .addOption(
      option(
        '--partitions <numbers>',
        'DOCKET_WORKER_PARTITIONS',
        'partitions that this worker reads, separated by commas, such as 0,3',
        'all',
      ).argParser(partitionNumbers),
    )
    .addOption(
      duration(
        '--redelivery-timeout <duration>',
        'DOCKET_WORKER_REDELIVERY_TIMEOUT',
        'redeliveryTimeout',
        'how long this worker may be silent before its executions are redelivered',
      ),
    )
    .addOption(
      duration(
        '--reconnection-delay <duration>',
        'DOCKET_WORKER_RECONNECTION_DELAY',
        'reconnectionDelay',
        'longest pause between two attempts to reconnect to Redis',
      ),
    )
    .addOption(
      option(
        '--connect-timeout <duration>',
        'DOCKET_WORKER_CONNECT_TIMEOUT',
        'how long to wait for Redis at the start',
        'for ever',
      ).argParser(durationParser('connectTimeout')),
    )
    .addOption(
      duration(
        '--minimum-check-interval <duration>',
        'DOCKET_WORKER_MINIMUM_CHECK_INTERVAL',
        'minimumCheckInterval',
        'longest blocking read; an idle worker sends one in this time',
      ),
    )
    .addOption(
      duration(
        '--scheduling-resolution <duration>',
        'DOCKET_WORKER_SCHEDULING_RESOLUTION',
        'schedulingResolution',
        'longest time without a look at the schedule, in case a wake-up is lost',
      ),
    )
    .addOption(
      duration(
        '--drain-timeout <duration>',
        'DOCKET_WORKER_DRAIN_TIMEOUT',
        'drainTimeout',
        'longest drain, including the abort grace at its end',
      ),
    )
    .addOption(
      duration(
        '--abort-grace <duration>',
        'DOCKET_WORKER_ABORT_GRACE',
        'abortGrace',
        'how long a task may take to stop when it is asked to, before its thread is terminated',
      ),
    )
    .addOption(
      count(
        '--max-deliveries <n>',
        'DOCKET_WORKER_MAX_DELIVERIES',
        'how often an execution may end its thread or process before it fails',
        String(WORKER_DEFAULTS.maxDeliveries),
      ),
    )
    .addOption(
      duration(
        '--failure-ttl <duration>',
        'DOCKET_WORKER_FAILURE_TTL',
        'failureTtl',
        'how long executions that fail for good are kept for docket failures; 0s keeps none',
      ),
    )
    .addOption(
      count(
        '--max-failures <n>',
        'DOCKET_WORKER_MAX_FAILURES',
        'maximum number of failures that are kept, the newest ones',
        String(WORKER_DEFAULTS.maxFailures),
      ),
    )
    .addOption(
      count(
        '--max-failure-bytes <bytes>',
        'DOCKET_WORKER_MAX_FAILURE_BYTES',
        'maximum size of the failures that are kept, in bytes',
        String(WORKER_DEFAULTS.maxFailureBytes),
      ),
    )
    .addOption(
      option(
        '--fallback <module:export>',
        'DOCKET_FALLBACK_TASK',
        'task that runs the executions whose task no module has',
        'none',
      ),
    )
    .addOption(
      count(
        '--max-tasks-per-thread <n>',
        'DOCKET_WORKER_MAX_TASKS_PER_THREAD',
        'executions after which a thread is replaced by a fresh one',
        'unlimited',
      ),
    )
    .addOption(
      count(
        '--max-thread-memory <MB>',
        'DOCKET_WORKER_MAX_THREAD_MEMORY',
        'heap of a thread, which is replaced when it needs more',
        'set by Node',
      ),
    )
    .addOption(
      count(
        '--healthcheck-port <port>',
        'DOCKET_WORKER_HEALTHCHECK_PORT',
        'port for /healthz (live) and /readyz (ready), 0 for any free one',
        'none',
      ),
    )
    .addOption(
      count(
        '--metrics-port <port>',
        'DOCKET_WORKER_METRICS_PORT',
        'port for /metrics (Prometheus), 0 for any free one',
        'none',
      ),
    )
    .addOption(
      option(
        '--http-host <address>',
        'DOCKET_WORKER_HTTP_HOST',
        'address on which these ports listen',
        WORKER_DEFAULTS.httpHost,
      ),
    )
    .option('--schedule-automatic-tasks', 'start the chains of automatic perpetual tasks (default: yes)')
    .option('--no-schedule-automatic-tasks', 'leave the chains of automatic perpetual tasks to other workers')
    .option('--keep-arguments', 'let executions that end here keep their arguments as long as their state')
    .option('--no-history', 'do not write what this worker counts to the history that docket stats shows')
    .option('--until-finished', 'exit when nothing is left in the whole docket')
    .addOption(
      option('--logging-level <level>', 'DOCKET_LOGGING_LEVEL', 'lowest level that is logged')
        .choices(LOG_LEVELS)
        .default('info'),
    )
    .addOption(
      option(
        '--logging-format <format>',
        'DOCKET_LOGGING_FORMAT',
        'format of the log lines',
        'pretty on a terminal, else plain',
      ).choices(LOG_FORMATS),
    )
    .addHelpText('after', `\n${DURATIONS_HELP}${WORKER_EXIT_CODES_HELP}`)
    .configureOutput({ outputError: (text, write) => write(failureLine('docket-worker', text)) })
    .exitOverride();
}

function option(flags: string, variable: string, description: string, fallback?: string): Option {
  return new Option(flags, fallback ? `${description} (default: ${fallback})` : description).env(variable);
}

function count(flags: string, variable: string, description: string, fallback: string): Option {
  return option(flags, variable, description, fallback).argParser(wholeNumber);
}

/** Worker options that are durations. */
type DurationName = Exclude<
  keyof typeof WORKER_DEFAULTS,
  | 'scheduleAutomaticTasks'
  | 'keepArguments'
  | 'history'
  | 'maxDeliveries'
  | 'maxFailures'
  | 'maxFailureBytes'
  | 'httpHost'
>;

function duration(flags: string, variable: string, name: DurationName, description: string): Option {
  return option(flags, variable, description, String(WORKER_DEFAULTS[name])).argParser(durationParser(name));
}

function durationParser(name: string): (text: string) => number {
  return (text) => {
    try {
      return parseDuration(text, name);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message.replace(`${name}: `, '')); // commander names the flag
    }
  };
}

function partitionNumbers(text: string): number[] {
  if (!/^\d+(,\d+)*$/.test(text)) {
    throw new InvalidArgumentError('give numbers of partitions, separated by commas, such as 0,3.');
  }
  return text.split(',').map(Number);
}
