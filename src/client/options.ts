/** The options of a Docket, and their defaults. */
import { type Duration, toMs } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames, wholeNumberOf } from '../core/options.js';
import type { ServerConnectionOptions } from '../core/server-connection.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import { keysOf } from '../redis/keys.js';
import { LARGEST_PAYLOAD_BYTES } from '../redis/payload-limit.js';
import { parseRedisUrl } from '../redis/url.js';
import { collectTasks } from '../tasks/collection.js';
import type { AnyTask } from '../tasks/task.js';
import { resolveConnection } from './connection-options.js';

/** An error class that `result()` revives: an error of this class arrives as an instance of it. */
// biome-ignore lint/suspicious/noExplicitAny: constructors are contravariant in their parameters; any error class must fit
export type ErrorClass = new (...args: any[]) => Error;

/** Options of a `Docket`. */
export interface DocketOptions<Tasks extends Record<string, AnyTask>> {
  /**
   * Name of the docket, 1 to 128 of: letters, digits, `_ . -`. Producers and workers with the same name and the same server
   * share their work.
   * @default the environment variable DOCKET_NAME, else 'docket'
   */
  name?: string;
  /**
   * URL of the Redis or Valkey server: `redis://`, `rediss://` (TLS), `valkey://`, `valkeys://` (TLS), `unix://`, or
   * `memory://name` for a server inside this process. A master that sentinels know is
   * `redis+sentinel://host1:26379,host2:26379/mymaster`, and a cluster is `redis+cluster://host1:7000,host2:7001`; with TLS they
   * begin with `rediss+`.
   * @default the environment variable DOCKET_URL, else 'redis://localhost:6379/0'
   */
  url?: string;
  /**
   * What the URL cannot say: TLS certificates, passwords that change, credentials of sentinels, addresses behind a NAT.
   * @default what is in the JSON file that the environment variable DOCKET_CONNECTION names, if it is set
   */
  connection?: ServerConnectionOptions;
  /**
   * How long the state and result of an execution are kept after it ends. It travels with each execution, so workers do not
   * need the same setting. 0 keeps nothing (fire-and-forget): several times faster, but there is no `result()`.
   * @default '15m'
   */
  executionTtl?: Duration;
  /**
   * Time between two heartbeats of a worker that serves this docket.
   * @default '2s'
   */
  heartbeatInterval?: Duration;
  /**
   * How many heartbeats a worker may miss before it is no longer listed.
   * @default 5
   */
  missedHeartbeats?: number;
  /**
   * Largest message (arguments and header) and largest result, in bytes; 511 MiB at most. The server must take arguments of
   * that size (`proto-max-bulk-len`, 512 MiB by default); a worker lowers this to what its server takes.
   * @default 1048576 (1 MiB)
   */
  maxPayloadBytes?: number;
  /**
   * How many replicas must have an add before it resolves. After each batch the docket waits for them, which costs a trip to
   * the replicas, during which its connection does nothing else. When too few have the batch in time, the adds reject with a
   * DurabilityError, but are written all the same. Holds for adds by this docket only, not for what workers write.
   * @default none: an add resolves when the master has it
   */
  durability?: DurabilityOptions;
  /** Error classes that `result()` revives, in addition to the built-in ones. */
  errors?: readonly ErrorClass[];
  /** The collection of tasks. With it, `add` checks the names it is given, and the arguments against the `input` of their task. */
  tasks?: Tasks;
}

/** How safe an add must be before it resolves. */
export interface DurabilityOptions {
  /** How many replicas must have an add, at least 1. */
  readonly replicas: number;
  /** How long to wait for them, at least 1 ms. */
  readonly timeout: Duration;
}

/** The resolved options of a docket: the settings that workers need too, and those of producers only. */
export interface ProducerSettings extends DocketSettings {
  readonly errors: readonly ErrorClass[];
  /** The known tasks by name; `null` when the producer was given none: any name may be added then. */
  readonly tasks: ReadonlyMap<string, AnyTask> | null;
}

const DEFAULTS = {
  name: 'docket',
  url: 'redis://localhost:6379/0',
  executionTtl: '15m',
  heartbeatInterval: '2s',
  missedHeartbeats: 5,
  maxPayloadBytes: 1024 * 1024,
} as const satisfies DocketOptions<Record<string, never>>;

const OPTION_NAMES = optionNames<DocketOptions<Record<string, never>>>({
  name: true,
  url: true,
  connection: true,
  executionTtl: true,
  heartbeatInterval: true,
  missedHeartbeats: true,
  maxPayloadBytes: true,
  durability: true,
  errors: true,
  tasks: true,
});
const DURABILITY_NAMES = optionNames<DurabilityOptions>({ replicas: true, timeout: true });

/** @throws InvalidOptionError naming the option that cannot be used */
export function resolveDocketOptions(options: DocketOptions<Record<string, AnyTask>>): ProducerSettings {
  checkOptionNames(options, OPTION_NAMES, '');
  if (options.durability) checkOptionNames(options.durability, DURABILITY_NAMES, 'durability.');
  const name = options.name ?? (process.env.DOCKET_NAME || DEFAULTS.name); // an empty variable counts as unset
  const url = options.url ?? (process.env.DOCKET_URL || DEFAULTS.url);
  const target = parseRedisUrl(url);
  return {
    name,
    url,
    connection: resolveConnection(options.connection, target),
    keys: keysOf(name, { db: target.kind === 'memory' ? 0 : target.db }),
    executionTtlMs: toMs(options.executionTtl ?? DEFAULTS.executionTtl, 'executionTtl'),
    heartbeatIntervalMs: wholeNumberOf(
      toMs(options.heartbeatInterval ?? DEFAULTS.heartbeatInterval, 'heartbeatInterval'),
      1,
      'heartbeatInterval',
    ),
    missedHeartbeats: wholeNumberOf(options.missedHeartbeats ?? DEFAULTS.missedHeartbeats, 1, 'missedHeartbeats'),
    maxPayloadBytes: payloadBytes(options.maxPayloadBytes ?? DEFAULTS.maxPayloadBytes),
    durability: options.durability
      ? {
          replicas: wholeNumberOf(options.durability.replicas, 1, 'durability.replicas'),
          timeoutMs: wholeNumberOf(toMs(options.durability.timeout, 'durability.timeout'), 1, 'durability.timeout'),
        }
      : null,
    errors: options.errors ?? [],
    tasks: options.tasks ? collectTasks(options.tasks, 'DocketOptions.tasks') : null,
  };
}

function payloadBytes(value: number): number {
  if (value <= LARGEST_PAYLOAD_BYTES) return wholeNumberOf(value, 1, 'maxPayloadBytes');
  throw new InvalidOptionError('maxPayloadBytes', `expected at most ${LARGEST_PAYLOAD_BYTES} (511 MiB), got ${value}`);
}
