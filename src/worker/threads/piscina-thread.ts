/**
 * A worker thread in a piscina pool of its own.
 *
 * There is one pool per thread, not one for all. The dispatcher decides which thread a chunk goes to, so piscina's queue
 * must stay empty and its balancer has nothing to balance. And a pool that is thrown away with its thread cannot get into
 * the state in which a pool no longer replaces its threads (`workerFailsDuringBootstrap`).
 *
 * piscina only starts and ends the thread: chunks and outcomes travel over a port of our own, on which an execution
 * reaches its thread, and its outcome the coordinator, in half the time (measured).
 *
 * `atomics: 'disabled'`, because piscina's default blocks the thread's event loop between chunks. That stops timers, sockets
 * and clients which tasks keep open.
 *
 * Owns the border to user code. Tasks may post whatever they like to `parentPort`, and close it: nobody reads it once
 * the thread has started. They may throw whatever they like, also `null`, which makes piscina resolve what the thread
 * should have replied to `boot`. So nothing that comes from there is used before its shape was checked.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { answerCredentials, sentConnection } from '../../channel/credentials.js';
import { LogWindow } from '../../channel/log-window.js';
import {
  ASKED,
  type ChunkMessage,
  type FailureNotice,
  type FromThread,
  HEARD,
  type OutcomeBatch,
  type ThreadConfig,
  type ToThread,
} from '../../channel/protocol.js';
import { isBooted, isFromThread } from '../../channel/untrusted.js';
import { assertNever } from '../../core/assert.js';
import { ThreadBootError } from '../../core/errors.js';
import { ownFile } from '../../core/own-files.js';
import { within } from '../../core/service.js';
import type { Manifest } from '../../tasks/manifest.js';
import { decodeError } from '../../wire/codec.js';
import { describe, isError } from '../../wire/error-codec.js';
import { OpenChunks } from './open-chunks.js';
import type { Thread, ThreadDeath, ThreadEvents } from './thread.js';

/** The maximum length of the line that says what ended a thread. It goes into records, errors and log lines. */
const LINE_CHARACTERS = 500;

/**
 * Starts a thread and loads the task modules in it. When the signal aborts first, the thread is ended, whatever it waits
 * for.
 *
 * @param maxMemoryMb - maximum size of the thread's heap; `null` for no limit
 * @throws the error of a task module that fails to load
 * @throws ThreadBootError when the thread ends before it has loaded the tasks
 */
export async function startPiscinaThread(
  config: ThreadConfig,
  events: ThreadEvents,
  signal: AbortSignal,
  maxMemoryMb: number | null = null,
): Promise<Thread> {
  const thread = new PiscinaThread(config, events, maxMemoryMb);
  const giveUp = () => void thread.terminate(0);
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    await thread.boot();
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
  return thread;
}

class PiscinaThread implements Thread {
  readonly isEnforceable = true;
  readonly exited: Promise<void>;
  manifest: Manifest = { tasks: [], fallback: null };
  readonly #pool: Piscina<ToThread, unknown>;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #chunks = new OpenChunks();
  readonly #booting: Promise<unknown>;
  readonly #attention: Int32Array;
  readonly #events: ThreadEvents;
  readonly #maxMemoryMb: number | null;
  readonly #logWindow = new LogWindow();
  readonly #outputWindow = new LogWindow();
  readonly #makeLogRoom = roomMaker(this.#logWindow);
  readonly #makeOutputRoom = roomMaker(this.#outputWindow);
  #disposing: Promise<unknown> | undefined;
  #terminating: Promise<unknown> | undefined;
  #isEnding = false;
  #hasRun = false;
  #death: ThreadDeath | null = null;

  constructor(config: ThreadConfig, events: ThreadEvents, maxMemoryMb: number | null) {
    this.#events = events;
    this.#attention = new Int32Array(config.attention);
    this.#maxMemoryMb = maxMemoryMb;
    this.#pool = openPool(maxMemoryMb);
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.on('message', (message) => this.#receive(message));
    port1.unref();
    const windows = { logWindow: this.#logWindow.buffer, outputWindow: this.#outputWindow.buffer };
    const { connection, transferred } = connectionOf(config);
    const sent = { ...config, docket: { ...config.docket, connection: null } };
    const boot = { kind: 'boot', config: sent, port: port2, connection, ...windows } as const;
    this.#booting = this.#pool.run(boot, { transferList: [port2, ...transferred] });
    this.#booting.catch(() => {}); // boot() deals with it
    this.#worker = this.#pool.threads[0]!;
    this.#worker.once('error', (error: unknown) => this.#die(error));
    this.exited = new Promise((resolve) => {
      this.#worker.once('exit', (code) => this.#exit(code, resolve));
    });
  }

  /** Waits until the thread has loaded the tasks. */
  async boot(): Promise<void> {
    const reply = await this.#booting.catch(() => null); // it has died, and why is known otherwise
    const booted = isBooted(reply) ? reply : null;
    if (booted?.kind === 'ready') {
      this.manifest = booted.manifest;
      return;
    }
    await this.terminate(0);
    if (booted) throw decodeError(booted.error);
    const { line, error } = this.#death ?? { line: 'it was ended', error: undefined };
    throw new ThreadBootError(`a worker thread ended while it loaded the tasks: ${line}`, { cause: error });
  }

  run(items: Uint8Array, patienceMs: number): Promise<OutcomeBatch> {
    return this.#chunks.open((chunk) => {
      const message: ChunkMessage = { chunk, items, patienceMs };
      this.#port.postMessage(message, [items.buffer as ArrayBuffer]);
    });
  }

  async notifyFailure(failure: FailureNotice): Promise<void> {
    await this.#pool.run({ kind: 'failure', failure });
  }

  attend(): number {
    const request = Atomics.add(this.#attention, ASKED, 1) + 1;
    Atomics.notify(this.#attention, ASKED);
    return request;
  }

  hasAttended(request: number): boolean {
    return Atomics.load(this.#attention, HEARD) >= request;
  }

  hasRun(): boolean {
    return this.#hasRun;
  }

  death(): ThreadDeath | null {
    return this.#death;
  }

  async terminate(graceMs: number): Promise<void> {
    this.#isEnding = true;
    if (graceMs > 0) {
      this.#disposing ??= this.#pool.run({ kind: 'dispose' }).catch(() => undefined); // the thread has died
      await within(this.#disposing, graceMs);
    }
    await this.#terminate();
    await this.exited;
  }

  /** Ends the thread. Node is asked once: a thread may send any number of messages until it is dead, and each could ask again. */
  #terminate(): Promise<unknown> {
    this.#terminating ??= this.#worker.terminate();
    return this.#terminating;
  }

  #receive(message: unknown): void {
    if (!isFromThread(message)) return this.#endBroken();
    if (message.kind === 'outcomes') return this.#receiveOutcomes(message.batch, message.over);
    if (message.kind === 'output') {
      // Room is made when the stream has passed the data on, so a slow reader slows down the thread and not the coordinator.
      process[message.stream].write(message.data, () => this.#makeOutputRoom(message.units));
      return;
    }
    receive(message, this.#events);
    if (message.kind === 'log') this.#makeLogRoom(message.units);
  }

  #receiveOutcomes(batch: OutcomeBatch, over: readonly number[]): void {
    this.#hasRun ||= sizeOf(batch) > 0;
    if (!this.#chunks.end(over, batch)) this.#events.onOutcomes(batch);
  }

  /** Ends a thread that has sent something else than it must: an outcome may be lost, and its execution run for ever. */
  #endBroken(): void {
    this.#death ??= deathOf('sent what no thread sends');
    void this.#terminate(); // unless it is dead already
  }

  /** @param error - whatever was thrown, also `null` */
  #die(error: unknown): void {
    if (isOutOfMemory(error)) {
      const limitMb = this.#maxMemoryMb ?? Math.round(this.#worker.resourceLimits?.maxOldGenerationSizeMb ?? 0);
      const limit = limitMb > 0 ? ` (limit ${limitMb} MB)` : '';
      this.#death = deathOf(`ran out of memory${limit}`, error);
    } else if (isError(error)) this.#death = { line: firstLineOf(error), error };
    else this.#death = deathOf(`threw ${firstLineOf(error)}`);
    this.#chunks.fail(error);
  }

  #exit(code: number, gone: () => void): void {
    if (!this.#isEnding) this.#death ??= deathOf(`exited with code ${code}`);
    drain(this.#port, (message) => this.#receive(message));
    this.#chunks.fail(this.#death?.error);
    setImmediate(() => void this.#pool.destroy().then(gone)); // the promises of its chunks settle first
  }
}

/** What a thread gets to know about connections, and the port over which it asks for the rest. It closes with the thread. */
function connectionOf({ docket }: ThreadConfig) {
  if (docket.connection === null) return { connection: null, transferred: [] };
  const { port1, port2 } = new MessageChannel();
  answerCredentials(port1, docket.connection);
  return { connection: { sent: sentConnection(docket.connection), port: port2 }, transferred: [port2] };
}

/** Makes room in a window once per turn of the event loop, so later lines of the thread wait for the next turn. */
function roomMaker(window: LogWindow): (units: number) => void {
  let written = 0;
  return (units) => {
    if (written === 0) {
      setImmediate(() => {
        window.written(written);
        written = 0;
      });
    }
    written += units;
  };
}

function openPool(maxMemoryMb: number | null): Piscina<ToThread, unknown> {
  const pool = new Piscina<ToThread, unknown>({
    filename: ownFile('thread/entry.js').href,
    minThreads: 0, // so that piscina starts no other thread when this one dies
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1_000_000, // the dispatcher bounds the shipments
    loadBalancer: (_task, workers) => workers[0] ?? null,
    atomics: 'disabled',
    recordTiming: false,
    ...(maxMemoryMb !== null && { resourceLimits: { maxOldGenerationSizeMb: maxMemoryMb } }),
  });
  pool.on('error', () => {}); // the thread's own event says it too
  return pool;
}

/** A death that no thrown error explains. It has no stack, which would show where the coordinator noticed it. */
function deathOf(line: string, cause?: unknown): ThreadDeath {
  const error = new Error(line, { cause });
  error.stack = '';
  return { line, error };
}

/** Returns a thrown value as a line of bounded length. */
function firstLineOf(thrown: unknown): string {
  return describe(thrown).split('\n', 1)[0]!.slice(0, LINE_CHARACTERS);
}

/** Returns the number of outcomes; 0 when all that is over was revoked. */
function sizeOf({ completed, withResult, others }: OutcomeBatch): number {
  return completed.length + withResult.length + others.length;
}

function isOutOfMemory(error: unknown): boolean {
  return isError(error) && (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
}

/** Reads what was posted before the thread exited, which is more than was received until then. */
function drain(port: MessagePort, take: (message: unknown) => void): void {
  for (let left = receiveMessageOnPort(port); left; left = receiveMessageOnPort(port)) take(left.message);
  port.close();
}

function receive(message: Exclude<FromThread, { kind: 'output' | 'outcomes' }>, events: ThreadEvents): void {
  switch (message.kind) {
    case 'progress':
      return events.onProgress(message.message);
    case 'log':
      return events.onLog(message.line);
    case 'placements':
      return events.onPlacements(message.placements);
    default:
      return assertNever(message);
  }
}
