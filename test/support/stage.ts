/**
 * Sets the stage of a behaviour test whose tasks are values: each test of a suite has a fleet of its own, and workers that
 * run in this very thread.
 */

import type { AnyTask, Docket, DocketOptions, Logger } from 'docket';
import { Worker, type WorkerOptions } from 'docket/worker';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach } from 'vitest';
import { type Assembled, assembleFleet } from './fleet.js';

/** What a test has at hand. All of it is closed after the test. */
export interface Stage {
  /** Name of this test's docket. */
  readonly name: string;
  readonly url: string;
  /** Opens a docket of this test's name. */
  docket<Tasks extends Record<string, AnyTask> = {}>(options?: DocketOptions<Tasks>): Docket<Tasks>;
  /** Starts a worker that runs until the test is over; in this thread unless `options` say otherwise. */
  work(tasks: WorkerOptions['tasks'], options?: WorkerOptions, docket?: Docket): Worker;
  /** Runs a worker, as `work` does, until nothing is left to do. */
  finish(tasks: WorkerOptions['tasks'], options?: WorkerOptions): Promise<void>;
  /** A plain connection to the server. */
  redis(): Promise<Redis>;
  /** Name in Redis of what the docket keeps under a suffix. */
  key(suffix: string): string;
  /** Suffixes of all keys the docket has in Redis, sorted. */
  keys(): Promise<string[]>;
  /** Fields of the record of an execution; none when there is no record. */
  record(key: string): Promise<Record<string, string>>;
}

/** Keys that a docket has as long as it lives, where it has automatic tasks. */
const AUTOMATIC = ['automatic', 'ended'];

/** Keeps the lines of expected failures out of the test's output. */
export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Prepares the stage for each test of the suite it is called in. */
export function setStage(url: () => string): Stage {
  let assembled: Assembled;
  beforeEach(async () => {
    assembled = await assembleFleet(url(), {}, { mayLeaveWork: true, permanent: AUTOMATIC });
  });
  afterEach(() => assembled.close());

  function worker(tasks: WorkerOptions['tasks'], options: WorkerOptions = {}, docket = stage.docket()): Worker {
    return new Worker(docket, {
      ...(tasks !== undefined && { tasks }),
      threads: 0,
      minimumCheckInterval: '50ms', // the embedded server cannot end a blocking read
      drainTimeout: '2s',
      logger: silent,
      ...options,
    });
  }

  const stage: Stage = {
    get name() {
      return assembled.fleet.name;
    },
    get url() {
      return url();
    },
    docket: (options) => assembled.open(options),
    work: (tasks, options, docket) => {
      const started = worker(tasks, options, docket);
      const running = started.runForever();
      running.catch(() => {}); // reported when it is closed
      assembled.endFirst(async () => {
        await started.close();
        await running;
      });
      return started;
    },
    finish: async (tasks, options) => {
      const started = worker(tasks, options);
      assembled.endFirst(() => started.close());
      await started.runUntilFinished();
    },
    redis: async () => assembled.fleet.redis,
    key: (suffix) => assembled.fleet.key(suffix),
    keys: async () => {
      const { redis, key } = assembled.fleet;
      const prefix = key('');
      return (await redis.keys(`${prefix}*`)).map((one) => one.slice(prefix.length)).sort();
    },
    record: (key) => assembled.fleet.redis.hgetall(assembled.fleet.key(`run:${key}`)),
  };
  return stage;
}
