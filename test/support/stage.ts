/** Sets the stage of a behaviour test: a docket name of its own, and a check that nothing is left when it is over. */

import { randomUUID } from 'node:crypto';
import { type AnyTask, Docket, type DocketOptions, type Logger } from 'docket';
import { Worker, type WorkerOptions } from 'docket/worker';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe } from 'vitest';
import { closeConnection, openConnection } from './built.js';
import { assertNoLeaks } from './leaks.js';
import { redisBinary, startRedis, type TestServer } from './servers.js';

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

/** Keys that a docket has as long as it lives. */
const PERMANENT = ['automatic', 'ended', 'front', 'generation', 'strikes', 'work', 'workers'];

/** Keeps the lines of expected failures out of the test's output. */
export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Prepares the stage for each test of the suite it is called in. */
export function setStage(url: () => string): Stage {
  let name = '';
  const opened: (() => Promise<void>)[] = [];
  const dockets: Docket[] = [];
  let connection: Promise<Redis> | undefined;

  beforeEach(() => {
    name = `t-${randomUUID().slice(0, 8)}`;
  });

  afterEach(async () => {
    for (const close of opened.splice(0).reverse()) await close();
    await Promise.all(dockets.splice(0).map((docket) => docket.close()));
    const redis = await stage.redis();
    connection = undefined;
    try {
      await assertNoLeaks(redis, name, [...PERMANENT, ...(await pendingKeys(redis, name))]);
    } finally {
      await closeConnection(redis);
    }
  });

  function worker(tasks: WorkerOptions['tasks'], options: WorkerOptions = {}, docket = stage.docket()): Worker {
    const worker = new Worker(docket, {
      ...(tasks !== undefined && { tasks }),
      threads: 0,
      minimumCheckInterval: '50ms', // the embedded server cannot end a blocking read
      drainTimeout: '2s',
      logger: silent,
      ...options,
    });
    opened.push(() => worker.close());
    return worker;
  }

  const stage: Stage = {
    get name() {
      return name;
    },
    get url() {
      return url();
    },
    docket: (options) => {
      const docket = new Docket({ name, url: url(), ...options });
      dockets.push(docket as Docket);
      return docket;
    },
    work: (tasks, options, docket) => {
      const started = worker(tasks, options, docket);
      const running = started.runForever();
      running.catch(() => {}); // reported when it is closed
      opened.push(async () => {
        await started.close();
        await running;
      });
      return started;
    },
    finish: (tasks, options) => worker(tasks, options).runUntilFinished(),
    redis: () => {
      connection ??= openConnection(url(), 'commands');
      return connection;
    },
    key: (suffix) => `{${name}}:${suffix}`,
    keys: async () => {
      const redis = await stage.redis();
      return (await redis.keys(`{${name}}:*`)).map((key) => key.slice(name.length + 3)).sort();
    },
    record: async (key) => (await stage.redis()).hgetall(stage.key(`run:${key}`)),
  };
  return stage;
}

/** Runs a suite on a server of its own that is a real Redis, for what the embedded one does not have. */
export function describeRealServer(name: string, suite: (url: () => string) => void): void {
  describe.skipIf(redisBinary() === null)(`${name} (redis only)`, () => {
    let server: TestServer;
    beforeEach(async () => {
      server = await startRedis();
    });
    afterEach(() => server.stop());
    suite(() => server.url);
  });
}

/** What is still to be done is no leak: its records and the schedule live until it is done. */
async function pendingKeys(redis: Redis, name: string): Promise<string[]> {
  const scheduled = await redis.zrange(`{${name}}:schedule`, '0', '-1');
  const queued: string[] = [];
  for (const stream of ['work', 'front']) {
    for (const [, fields] of await redis.xrange(`{${name}}:${stream}`, '-', '+')) {
      const at = fields.findIndex((field, i) => i % 2 === 0 && field === 'k');
      if (at >= 0) queued.push(fields[at + 1]!);
    }
  }
  const parked = scheduled.map((member) => `${member[0] === 'k' ? 'run' : 'parked'}:${member.slice(1)}`);
  const records = [...parked, ...queued.map((key) => `run:${key}`)];
  return scheduled.length > 0 ? ['schedule', ...records] : records;
}
