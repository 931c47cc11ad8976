/**
 * A worker thread in a piscina pool of its own.
 *
 * There is one pool per thread, not one for all. The dispatcher decides which thread a chunk goes to, so piscina's queue
 * must stay empty and its balancer has nothing to balance. And a pool that is thrown away with its thread cannot get into
 * the state in which a pool no longer replaces its threads (`workerFailsDuringBootstrap`).
 *
 * `atomics: 'disabled'`, because piscina's default blocks the thread's event loop between chunks. That stops timers, sockets
 * and clients which tasks keep open.
 *
 * Owns the border to user code. Tasks may post whatever they like to `parentPort`, and close it: nobody reads it once
 * the thread has started. They may throw whatever they like, also `null`, which makes piscina resolve what the thread
 * should have replied. So nothing that comes from there is used before its shape was checked.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import {
  ASKED,
  type FromThread,
  HEARD,
  type OutcomeBatch,
  type ThreadConfig,
  type ToThread,
} from '../../channel/protocol.js';
import { isBooted, isFromThread, isOutcomeBatch } from '../../channel/untrusted.js';
import { assertNever } from '../../core/assert.js';
import { ThreadBootError } from '../../core/errors.js';
import { pause } from '../../core/service.js';
import { decodeError } from '../../wire/codec.js';
import { describe } from '../../wire/error-codec.js';
import type { Thread, ThreadEvents } from './thread.js';

const ENTRY = new URL('../../thread/entry.js', import.meta.url).href;

/**
 * Starts a thread and loads the task modules in it. When the signal aborts first, the thread is ended, whatever it waits
 * for.
 *
 * @param maxMemoryMb - size of the thread's heap at most; `null` for no limit
 * @throws the error of a task module that fails to load
 * @throws ThreadBootError when the thread ends before it has loaded the tasks
 */
export async function startPiscinaThread(
  config: ThreadConfig,
  events: ThreadEvents,
  signal: AbortSignal,
  maxMemoryMb: number | null = null,
): Promise<Thread> {
  const attention = new Int32Array(config.attention);
  const pool = new Piscina<ToThread, unknown>({
    filename: ENTRY,
    minThreads: 0, // so that piscina starts no other one when this one dies
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1_000_000, // the dispatcher bounds what is shipped
    loadBalancer: (_task, workers) => workers[0] ?? null,
    atomics: 'disabled',
    recordTiming: false,
    ...(maxMemoryMb !== null && { resourceLimits: { maxOldGenerationSizeMb: maxMemoryMb } }),
  });
  pool.on('error', () => {}); // the thread's own event says it too

  const { port1: reports, port2 } = new MessageChannel();
  let hasRun = false;
  const take = (message: unknown) => {
    if (isFromThread(message)) {
      hasRun ||= message.kind === 'outcomes';
      return receive(message, events);
    }
    endBroken(); // an outcome may be lost, and its execution would run for ever
  };
  reports.on('message', take);
  reports.unref();
  const booting = pool.run({ kind: 'boot', config, reports: port2 }, { transferList: [port2] });
  const [thread] = pool.threads;
  const worker = thread!;
  let death: { readonly error: unknown } | undefined; // whatever was thrown, also null
  const endBroken = () => {
    death ??= { error: new Error('the thread sent what no thread sends') };
    void worker.terminate();
  };
  worker.once('error', (error: unknown) => {
    death = { error };
  });
  const exited = new Promise<void>((resolve) => {
    worker.once('exit', () => {
      drain(reports, take);
      setImmediate(() => void pool.destroy().then(resolve)); // the promises of its chunks settle first
    });
  });
  let disposing: Promise<unknown> | undefined;
  const terminate = async (graceMs: number) => {
    if (graceMs > 0) {
      const disposed = new AbortController();
      disposing ??= pool.run({ kind: 'dispose' }).catch(() => undefined); // it has died
      await Promise.race([disposing, pause(graceMs, disposed.signal)]);
      disposed.abort();
    }
    await worker.terminate();
    await exited;
  };

  const giveUp = () => void worker.terminate();
  signal.addEventListener('abort', giveUp, { once: true });
  const booted = await booting
    .catch((error: unknown) => {
      death ??= { error };
    })
    .finally(() => signal.removeEventListener('abort', giveUp));
  if (!isBooted(booted)) {
    await terminate(0);
    const cause = death?.error;
    throw new ThreadBootError(`a worker thread ended while it loaded the tasks: ${describe(cause)}`, { cause });
  }
  if (booted.kind === 'failed') {
    await terminate(0);
    throw decodeError(booted.error);
  }
  const run = async (items: Uint8Array<ArrayBuffer>): Promise<OutcomeBatch> => {
    const reply = await pool.run({ kind: 'chunk', items }, { transferList: [items.buffer] });
    if (isOutcomeBatch(reply)) {
      hasRun ||= sizeOf(reply) > 0;
      return reply;
    }
    endBroken(); // unless it is dead already
    throw new Error('the thread did not reply with outcomes');
  };
  return {
    manifest: booted.manifest,
    isEnforceable: true,
    run,
    attend: () => {
      const request = Atomics.add(attention, ASKED, 1) + 1;
      Atomics.notify(attention, ASKED);
      return request;
    },
    hasAttended: (request) => Atomics.load(attention, HEARD) >= request,
    exited,
    hasRun: () => hasRun,
    ranOutOfMemory: () => isOutOfMemory(death?.error),
    terminate,
  };
}

/** Returns the number of outcomes; 0 when all of a chunk was revoked. */
function sizeOf({ completed, withResult, others }: OutcomeBatch): number {
  return completed.length + withResult.length + others.length;
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
}

/** Reads what was posted before the thread exited, which is more than was received until then. */
function drain(port: MessagePort, take: (message: unknown) => void): void {
  for (let left = receiveMessageOnPort(port); left; left = receiveMessageOnPort(port)) take(left.message);
  port.close();
}

function receive(message: FromThread, events: ThreadEvents): void {
  switch (message.kind) {
    case 'outcomes':
      return events.onOutcomes(message.batch);
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
