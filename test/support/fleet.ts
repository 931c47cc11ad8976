/**
 * The harness of every test with a docket: a docket of its own, its workers and processes, what their tasks recorded, and a
 * check at the end that nothing is left: no live thread, no consumer of a worker that signed off, no key without a TTL.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Worker as Thread } from 'node:worker_threads';
import { type AnyTask, Docket, type DocketOptions, type Task } from 'docket';
import { Worker, type WorkerOptions } from 'docket/worker';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, onTestFinished } from 'vitest';
import { allPartitions, type PartitionKeys } from './all-partitions.js';
import { closeConnection, openConnection, STREAM_NAMES } from './built.js';
import { assertNoLeaks, type LeakCheck } from './leaks.js';
import { type Line, recordingLogger } from './logger.js';
import { divideNew } from './partitions.js';
import { PARTITION_COUNT } from './target.js';
import { deferred, waitFor } from './wait.js';

/** A module of tasks under `test/fixtures/worker`. */
export function fixture(file: string): string {
  return fileURLToPath(new URL(`../fixtures/worker/${file}`, import.meta.url));
}

/** The tasks most tests run. */
export const TASKS = fixture('tasks.js');

const COMMAND = fileURLToPath(new URL('../../bin/docket-worker.js', import.meta.url));

/** Tasks are added by name: their code is plain JavaScript, which has no types. */
export type Tasks = Record<string, Task<string, object, unknown>>;

/** A worker of this process that was started. */
export interface Running {
  readonly worker: Worker;
  readonly lines: Line[];
  /** Resolves when the worker is ready to run tasks. */
  readonly isReady: Promise<void>;
  /** Settles when the worker has ended. */
  readonly ended: Promise<void>;
  /** Drains it. */
  stop(): Promise<void>;
}

/** A `docket-worker` process. */
export interface Command {
  readonly process: ChildProcess;
  /** Lines of stderr, as they are. */
  readonly errors: string[];
  /** Lines of stdout, as they are. */
  readonly output: string[];
  /** What it logged, if it logs in JSON. */
  readonly lines: Line[];
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Resolves when the worker is ready to run tasks; rejects when it ends instead. */
  ready(): Promise<void>;
}

/** The file that tasks are told to record to. */
export interface Probe {
  readonly file: string;
}

export interface Fleet {
  readonly name: string;
  readonly url: string;
  readonly docket: Docket<Tasks>;
  readonly redis: Redis;
  readonly probe: Probe;
  /** A key of the docket in Redis. */
  key(suffix: string): string;
  /** A second docket on the same data, for other options; closed with the test. */
  with(options: DocketOptions<Tasks>): Docket<Tasks>;
  /** Starts a worker in this process and waits until it is ready. */
  worker(options?: WorkerOptions): Promise<Running>;
  /** Starts `docket-worker` with the docket, the server and the tasks of the fixtures. */
  command(args?: readonly string[], env?: Readonly<Record<string, string>>): Command;
  /** What tasks have recorded, in order. */
  steps(): Promise<string[]>;
  /** Waits until a step was recorded. */
  step(step: string): Promise<void>;
  /** How often the task `count` ran under each key. */
  counts(): Promise<Record<string, number>>;
  /** Lets the executions of the task `hold` go on. */
  release(): Promise<void>;
  /** Says that the test ends with unfinished work on purpose: no look at what is left in Redis. */
  leavesWork(): void;
  /** Consumers on both streams. */
  consumers(): Promise<string[]>;
  /** Entries that are pending on both streams. */
  pending(): Promise<number>;
}

/** Opens a docket for the running test. Everything started through it ends with the test. */
export async function openFleet(url: string, options: DocketOptions<Tasks> = {}): Promise<Fleet> {
  const { fleet, close } = await assembleFleet(url, options);
  onTestFinished(close);
  return fleet;
}

/**
 * Opens a docket with one worker for all tests of a suite that ask only what becomes of their own executions: starting a
 * thread costs more than most of these. Each test has a probe and log lines of its own, and may use the keys of those before
 * it, whose executions are over: a test that leaves work to do fails.
 */
export function shareWorker(
  url: () => string,
  workerOptions: WorkerOptions,
  options: DocketOptions<Tasks> = {},
): () => { readonly fleet: Fleet; readonly running: Running } {
  let assembled: Assembled;
  let running: Running;
  beforeAll(async () => {
    assembled = await assembleFleet(url(), options);
    running = await assembled.fleet.worker(workerOptions);
  });
  beforeEach(() => {
    assembled.beginProbe();
    running.lines.length = 0;
  });
  afterEach(() => waitFor(() => assembled.isAtRest()));
  afterAll(() => assembled.close());
  return () => ({ fleet: assembled.fleet, running });
}

/** A fleet, and how to end it: fails when something is left behind. */
export interface Assembled {
  readonly fleet: Fleet;
  /** Lets the fleet have another probe, to which nothing was recorded. */
  beginProbe(): void;
  /** Whether nothing is scheduled, queued or running. */
  isAtRest(): Promise<boolean>;
  /** Opens a docket of the fleet's name, with nothing of its options. */
  open<Of extends Record<string, AnyTask> = {}>(options?: DocketOptions<Of>): Docket<Of>;
  /** Ends what was started, the last first, and checks for leaks. */
  close(): Promise<void>;
  /** Calls `end` before anything of the fleet is ended. */
  endFirst(end: () => Promise<void>): void;
}

/** Opens a docket that the caller closes. */
export async function assembleFleet(
  url: string,
  options: DocketOptions<Tasks> = {},
  leakCheck: LeakCheck = {},
): Promise<Assembled> {
  const name = `t-${randomUUID()}`;
  const partitions = await openPartitions(name, url, PARTITION_COUNT);
  const redis = partitions.length === 1 ? partitions[0]!.redis : allPartitions(partitions);
  const docket = new Docket<Tasks>({ name, url, ...options });
  const dockets: { close(): Promise<void> }[] = [docket];
  const open = <Of extends Record<string, AnyTask>>(more: DocketOptions<Of> = {}) => {
    const other = new Docket<Of>({ name, url, ...more });
    dockets.push(other);
    return other;
  };
  const threads = watchThreads();
  const workers: Running[] = [];
  const commands: Command[] = [];
  const ends: (() => Promise<void>)[] = [];
  let probe: Probe | undefined;
  let stepsIn = linesReader();
  let isLookingForLeaks = true;
  const key = (suffix: string) => `{${name}}:${suffix}`;

  const fleet: Fleet = {
    name,
    url,
    docket,
    redis,
    get probe() {
      probe ??= { file: join(mkdtempSync(join(tmpdir(), 'docket-probe-')), 'steps') };
      return probe;
    },
    key,
    with: (more) => open({ ...options, ...more }),
    async worker(workerOptions = {}) {
      const running = start(docket, { tasks: TASKS, ...workerOptions });
      workers.push(running);
      await Promise.race([running.ended, running.isReady]);
      return running;
    },
    command(args = [], env = {}) {
      const common = ['--url', url, '--docket', name, '--tasks', TASKS, '--logging-format', 'json'];
      const command = startCommand([...common, ...args], env);
      commands.push(command);
      return command;
    },
    steps: async () => stepsIn(fleet.probe.file),
    async step(step) {
      await waitFor(async () => (await fleet.steps()).includes(step));
    },
    async counts() {
      const counts = new Map<string, number>();
      for (const key of linesOf(`${fleet.probe.file}.counts`)) counts.set(key, (counts.get(key) ?? 0) + 1);
      return Object.fromEntries(counts);
    },
    async release() {
      writeFileSync(`${fleet.probe.file}.released`, '');
    },
    leavesWork() {
      isLookingForLeaks = false;
    },
    async consumers() {
      const streams = partitions.flatMap(({ redis, prefix }) =>
        STREAM_NAMES.map((stream) => consumersOf(redis, prefix + stream)),
      );
      return [...new Set((await Promise.all(streams)).flat())];
    },
    async pending() {
      const counts = partitions.flatMap(({ redis, prefix }) =>
        STREAM_NAMES.map(async (stream) => {
          const [count] = (await redis.xpending(prefix + stream, 'workers')) as [number];
          return count;
        }),
      );
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    },
  };

  const close = async () => {
    for (const command of commands) command.process.kill('SIGKILL');
    await Promise.all(commands.map((command) => command.ended));
    for (const end of ends.reverse()) await end();
    await Promise.all(workers.map((running) => running.stop()));
    const signedOff = workers.map(({ worker }) => worker.name);
    try {
      await Promise.all(dockets.map((one) => one.close()));
      if (isLookingForLeaks) {
        const consumers = signedOff.length > 0 ? await fleet.consumers() : [];
        const left = consumers.filter((consumer) => signedOff.includes(consumer.split(':')[0]!));
        if (left.length > 0) throw new Error(`consumers left behind: ${left.join(', ')}`);
        await Promise.all(partitions.map(({ redis, prefix }) => assertNoLeaks(redis, prefix, leakCheck)));
      }
      await waitFor(() => threads.alive() === 0);
    } finally {
      threads.unwatch();
      await closePartitions(partitions);
    }
  };
  const beginProbe = () => {
    probe = undefined;
    stepsIn = linesReader();
  };
  const isAtRest = async () => {
    const onStreams = STREAM_NAMES.map((stream) => redis.xlen(key(stream)));
    const left = await Promise.all([redis.zcard(key('schedule')), ...onStreams]);
    return left.every((count) => count === 0);
  };
  return { fleet, open, close, beginProbe, isAtRest, endFirst: (end) => void ends.push(end) };
}

/** Divides a docket, and opens a connection to each of its partitions; one for all where they are on one server. */
async function openPartitions(name: string, url: string, count: number): Promise<PartitionKeys[]> {
  const first = `{${name}}:`;
  const prefixes = count === 1 ? [first] : await divideNew(name, url, count);
  const open = (prefix: string) => openConnection({ url, keys: { prefix } }, 'commands', { name });
  if (/[+]cluster:/.test(url)) {
    return await Promise.all(prefixes.map(async (prefix) => ({ prefix, redis: await open(prefix) })));
  }
  const redis = await open(first);
  return prefixes.map((prefix) => ({ prefix, redis }));
}

async function closePartitions(partitions: readonly PartitionKeys[]): Promise<void> {
  await Promise.all([...new Set(partitions.map(({ redis }) => redis))].map(closeConnection));
}

function start(docket: Docket<Tasks>, options: WorkerOptions): Running {
  const ready = deferred();
  const { logger, lines } = recordingLogger('info', (line) => isReady(line) && ready.resolve());
  const name = `w-${randomUUID().slice(0, 8)}`;
  const worker = new Worker(docket, { threads: 1, minimumCheckInterval: '100ms', name, logger, ...options });
  const ended = worker.runForever();
  ended.catch(() => {}); // whoever waits for it hears of it
  return {
    worker,
    lines,
    isReady: ready.promise,
    ended,
    async stop() {
      await worker.close();
      await ended.catch(() => {});
    },
  };
}

function isReady({ message }: Line): boolean {
  return / is ready$/.test(message);
}

/** Starts `docket-worker` with nothing but these arguments; no variable of this process' own configures it. */
export function startCommand(args: readonly string[], env: Readonly<Record<string, string>> = {}): Command {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DOCKET_')));
  const child = spawn(process.execPath, [COMMAND, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...inherited, ...env },
  });
  const [errors, output, lines]: [string[], string[], Line[]] = [[], [], []];
  createInterface({ input: child.stdout }).on('line', (line) => output.push(line));
  createInterface({ input: child.stderr }).on('line', (text) => {
    errors.push(text);
    const line = lineOf(text);
    if (line) lines.push(line);
  });
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  const ready = async () => {
    const isUp = waitFor(() => lines.some(isReady), { timeoutMs: 25_000 });
    const hasEnded = ended.then(({ code }) => {
      if (!lines.some(isReady)) throw new Error(`docket-worker ended with ${code}:\n${errors.join('\n')}`);
    });
    hasEnded.catch(() => {});
    isUp.catch(() => {});
    await Promise.race([isUp, hasEnded]);
  };
  return { process: child, errors, output, lines, ended, ready };
}

const LEVELS: Readonly<Record<number, string>> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' };

function lineOf(text: string): Line | null {
  try {
    const { level, msg, ...fields } = JSON.parse(text);
    return { level: LEVELS[level] ?? String(level), message: msg, fields };
  } catch {
    return null;
  }
}

async function consumersOf(redis: Redis, stream: string): Promise<string[]> {
  const consumers = await redis.xinfo('CONSUMERS', stream, 'workers').catch(() => []);
  return (consumers as [string, string][]).map((info) => info[info.indexOf('name') + 1]!);
}

/** Counts the threads that were started from now on and have not ended. */
function watchThreads(): { alive(): number; unwatch(): void } {
  const alive = new Set<Thread>();
  const onThread = (thread: Thread) => {
    alive.add(thread);
    thread.once('exit', () => alive.delete(thread));
  };
  process.on('worker', onThread);
  return { alive: () => alive.size, unwatch: () => void process.off('worker', onThread) };
}

/** The lines of a file that tasks write, each a text in JSON; none before the first. */
function linesOf(file: string): string[] {
  if (!existsSync(file)) return [];
  return parsed(readFileSync(file, 'utf8').split('\n').slice(0, -1));
}

function parsed(lines: readonly string[]): string[] {
  return lines.map((line) => JSON.parse(line) as string);
}

/** Like `linesOf`, for a file that is read again and again: reads only what has been written since. */
function linesReader(): (file: string) => string[] {
  const lines: string[] = [];
  let bytes = 0;
  return (file) => {
    if (!existsSync(file)) return [];
    const descriptor = openSync(file, 'r');
    try {
      const more = Buffer.alloc(fstatSync(descriptor).size - bytes);
      const end = more.subarray(0, readSync(descriptor, more, 0, more.length, bytes)).lastIndexOf('\n') + 1;
      lines.push(...parsed(more.toString('utf8', 0, end).split('\n').slice(0, -1)));
      bytes += end;
    } finally {
      closeSync(descriptor);
    }
    return [...lines];
  };
}
