/** What a docket can be told, with its defaults. */
import { type Duration, toMs } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import { type Keys, keysOf } from '../redis/keys.js';
import { maskUrl, parseRedisUrl } from '../redis/url.js';
import type { AnyTask } from '../tasks/task.js';

/** A class of errors that `result()` gives back as instances of itself. */
// biome-ignore lint/suspicious/noExplicitAny: constructors are contravariant in their parameters; any error class must fit
export type ErrorClass = new (...args: any[]) => Error;

export interface DocketOptions<Tasks extends Record<string, AnyTask>> {
  /**
   * Name of the docket: producers and workers with the same name and server share their work. Letters, digits, `_ . -`.
   * @default 'docket'
   */
  name?: string;
  /**
   * Where Redis is: `redis://`, `rediss://`, `unix://`, `valkey://`, or `memory://name` for a server inside this process.
   * @default the environment variable DOCKET_URL, else 'redis://localhost:6379/0'
   */
  url?: string;
  /**
   * How long state and result of an execution are kept after it ended. It travels with each execution, so workers need
   * not be configured alike. 0 keeps none (fire-and-forget): several times faster, but there is no `result()`.
   * @default '15m'
   */
  executionTtl?: Duration;
  /**
   * How often workers of this docket say that they live.
   * @default '2s'
   */
  heartbeatInterval?: Duration;
  /**
   * Heartbeats a worker may miss before it is no longer listed.
   * @default 5
   */
  missedHeartbeats?: number;
  /**
   * Largest message (arguments and header) and largest result, in bytes.
   * @default 1 MiB
   */
  maxPayloadBytes?: number;
  /**
   * How safe an add must be before it resolves: after each batch the docket waits until so many replicas have it. Costs
   * a trip to the replicas for each batch, during which this docket's connection does nothing else. Too few in time: a
   * DurabilityError; the adds are written all the same. For adds by this docket alone, not for what workers write.
   * @default none: an add resolves when the master has it
   */
  durability?: DurabilityOptions;
  /** Error classes that `result()` revives, beside the built-in ones. */
  errors?: readonly ErrorClass[];
  /** The collection, for producers that have it: names given to `add`, and their `input`, are then checked at once. */
  tasks?: Tasks;
}

export interface DurabilityOptions {
  /** How many replicas must have an add, 1 or more. */
  readonly replicas: number;
  /** How long to wait for them, more than 0. */
  readonly timeout: Duration;
}

/** The options as the docket uses them. */
export interface DocketSettings {
  readonly name: string;
  readonly url: string;
  readonly keys: Keys;
  readonly executionTtlMs: number;
  readonly heartbeatIntervalMs: number;
  readonly missedHeartbeats: number;
  readonly maxPayloadBytes: number;
  readonly durability: { readonly replicas: number; readonly timeoutMs: number } | null;
  readonly errors: readonly ErrorClass[];
  /** The known tasks by name; `null` when the producer did not say. */
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

/** @throws InvalidOptionError naming the option that cannot be used */
export function resolveDocketOptions(options: DocketOptions<Record<string, AnyTask>>): DocketSettings {
  const name = options.name ?? DEFAULTS.name;
  const url = options.url ?? (process.env.DOCKET_URL || DEFAULTS.url);
  parseRedisUrl(url);
  return {
    name,
    url,
    keys: keysOf(name),
    executionTtlMs: toMs(options.executionTtl ?? DEFAULTS.executionTtl, 'executionTtl'),
    heartbeatIntervalMs: atLeast(
      1,
      toMs(options.heartbeatInterval ?? DEFAULTS.heartbeatInterval, 'heartbeatInterval'),
      'heartbeatInterval',
    ),
    missedHeartbeats: atLeast(1, options.missedHeartbeats ?? DEFAULTS.missedHeartbeats, 'missedHeartbeats'),
    maxPayloadBytes: atLeast(1, options.maxPayloadBytes ?? DEFAULTS.maxPayloadBytes, 'maxPayloadBytes'),
    durability: options.durability
      ? {
          replicas: atLeast(1, options.durability.replicas, 'durability.replicas'),
          timeoutMs: atLeast(1, toMs(options.durability.timeout, 'durability.timeout'), 'durability.timeout'),
        }
      : null,
    errors: options.errors ?? [],
    tasks: options.tasks ? new Map(Object.entries(options.tasks)) : null,
  };
}

/** The docket as it may be shown: no password. */
export function describeDocket({ name, url }: DocketSettings): string {
  return `docket '${name}' at ${maskUrl(url)}`;
}

function atLeast(minimum: number, value: number, option: string): number {
  if (Number.isSafeInteger(value) && value >= minimum) return value;
  throw new InvalidOptionError(option, `expected a whole number >= ${minimum}, got ${value}`);
}
