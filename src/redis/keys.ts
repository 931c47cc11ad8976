/**
 * The names of everything docket keeps in Redis; nothing else builds a key.
 *
 * All names of one docket share the hash tag `{name}`, so that scripts work on a cluster and one ACL pattern,
 * `~{name}:*` and `&{name}:*`, covers a docket. User keys live under `run:` only and cannot meet infrastructure.
 */
import { InvalidOptionError } from '../core/errors.js';

/** The consumer group of both streams. */
export const GROUP = 'workers';

const DOCKET_NAME = /^[A-Za-z0-9_.-]{1,128}$/;

export interface Keys {
  /** `{name}:`, what every key and channel begins with. */
  readonly prefix: string;
  /** Stream of executions that are due, in order of arrival. */
  readonly work: string;
  /** Stream of what has waited before (redeliveries, hand-backs); read together with `work`. */
  readonly front: string;
  /** Sorted set of the keys of executions that are not due yet, by due time in server milliseconds. */
  readonly schedule: string;
  /** Hash: names of limits where somebody may wait for a slot. */
  readonly waiting: string;
  /** Sorted set of limits whose waiters a script left for a scheduler to serve. */
  readonly wakes: string;
  /** Sorted set of ids without a record that are not to run any more, by the time at which that is forgotten. */
  readonly cancelled: string;
  /** Sorted set of live workers by the time their heartbeat expires, in server milliseconds. */
  readonly workers: string;
  /** Held for one sweep by the worker that looks for expired leases. */
  readonly sweeper: string;
  /** Exists while somebody waits for events; kept alive by those who wait. */
  readonly listeners: string;
  /** Stream of messages that can never run, with the reason; bounded. */
  readonly quarantine: string;
  /** Hash of strikes by their canonical text, with the version of the list; also the channel on which changes are told. */
  readonly strikes: string;
  /**
   * Channel on which is published what is to stop: the token of a running execution, or `l` and an id; or `s` and the token
   * of one that is not to start.
   */
  readonly cancel: string;
  /** Channel on which the time of a new head of the schedule is published. */
  readonly wake: string;
  /** Hash: the record of one execution. Its fields are listed in `scripts/README.md`. */
  run(key: string): string;
  /** Channel of one execution's state events. */
  events(key: string): string;
  /** Hash: what a worker says of itself. */
  worker(consumer: string): string;
  /** Sorted set: who waits for a slot of a limit, by their tickets. */
  limit(name: string): string;
  /** What users keep beside a docket; nothing of docket's own begins like it. */
  user(suffix: string): string;
}

/**
 * Names the keys of a docket.
 * @throws InvalidOptionError when the name has characters other than letters, digits, `_`, `.` and `-`
 */
export function keysOf(docket: string): Keys {
  if (!DOCKET_NAME.test(docket)) {
    throw new InvalidOptionError('name', `a docket's name has letters, digits, '_', '.' and '-' only, got '${docket}'`);
  }
  const prefix = `{${docket}}:`;
  return {
    prefix,
    work: `${prefix}work`,
    front: `${prefix}front`,
    schedule: `${prefix}schedule`,
    waiting: `${prefix}waiting`,
    wakes: `${prefix}wakes`,
    cancelled: `${prefix}cancelled`,
    workers: `${prefix}workers`,
    sweeper: `${prefix}sweeper`,
    listeners: `${prefix}listeners`,
    quarantine: `${prefix}quarantine`,
    strikes: `${prefix}strikes`,
    cancel: `${prefix}cancel`,
    wake: `${prefix}wake`,
    run: (key) => `${prefix}run:${key}`,
    events: (key) => `${prefix}events:${key}`,
    worker: (consumer) => `${prefix}worker:${consumer}`,
    limit: (name) => `${prefix}limit:${name}`,
    user: (suffix) => `${prefix}user:${suffix}`,
  };
}
