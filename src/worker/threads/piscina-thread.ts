/**
 * A worker thread in a piscina pool of its own.
 *
 * There is one pool per thread, not one for all. The dispatcher decides which thread a chunk goes to, so piscina's queue
 * must stay empty and its balancer has nothing to balance. And a pool that is thrown away with its thread cannot get into
 * the state in which a pool no longer replaces its threads (`workerFailsDuringBootstrap`).
 *
 * `atomics: 'disabled'`, because piscina's default blocks the thread's event loop between chunks. That stops timers, sockets
 * and clients which tasks keep open.
 */
import { Piscina } from 'piscina';
import {
  ASKED,
  type Booted,
  type FromThread,
  HEARD,
  type OutcomeBatch,
  type ThreadConfig,
  type ToThread,
} from '../../channel/protocol.js';
import { assertNever } from '../../core/assert.js';
import { ThreadBootError } from '../../core/errors.js';
import { within } from '../../core/service.js';
import type { Manifest } from '../../tasks/manifest.js';
import { decodeError } from '../../wire/codec.js';
import type { Thread, ThreadEvents } from './thread.js';

const ENTRY = new URL('../../thread/entry.js', import.meta.url).href;

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
  const attention = new Int32Array(config.attention);
  const pool = new Piscina<ToThread, OutcomeBatch | Booted<Manifest> | undefined>({
    filename: ENTRY,
    workerData: config,
    minThreads: 0, // so that piscina starts no other thread when this one dies
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1_000_000, // the dispatcher bounds the shipments
    loadBalancer: (_task, workers) => workers[0] ?? null,
    atomics: 'disabled',
    recordTiming: false,
    ...(maxMemoryMb !== null && { resourceLimits: { maxOldGenerationSizeMb: maxMemoryMb } }),
  });
  pool.on('message', (message: FromThread) => receive(message, events));
  let death: Error | undefined;
  pool.on('error', (error: Error) => {
    death = error;
  });

  const booting = pool.run({ kind: 'boot' });
  const [worker] = pool.threads;
  let ranOutOfMemory = false;
  worker!.once('error', (error: NodeJS.ErrnoException) => {
    ranOutOfMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
  });
  const exited = new Promise<void>((resolve) => {
    // Everything the thread had posted was received before 'exit'; setImmediate lets the promises of its chunks settle too.
    worker!.once('exit', () => setImmediate(() => void pool.destroy().then(resolve)));
  });
  let disposing: Promise<unknown> | undefined;
  const terminate = async (graceMs: number) => {
    if (graceMs > 0) {
      disposing ??= pool.run({ kind: 'dispose' }).catch(() => undefined); // the thread has died
      await within(disposing, graceMs);
    }
    await worker!.terminate();
    await exited;
  };

  const giveUp = () => void worker!.terminate();
  signal.addEventListener('abort', giveUp, { once: true });
  const booted = (await booting
    .catch(async (cause: Error) => {
      await exited;
      throw new ThreadBootError(`a worker thread ended while it loaded the tasks: ${(death ?? cause).message}`, {
        cause,
      });
    })
    .finally(() => signal.removeEventListener('abort', giveUp))) as Booted<Manifest>;
  if (booted.kind === 'failed') {
    await terminate(0);
    throw decodeError(booted.error);
  }
  return {
    manifest: booted.manifest,
    isEnforceable: true,
    run: (items) =>
      pool.run({ kind: 'chunk', items }, { transferList: [items.buffer as ArrayBuffer] }) as Promise<OutcomeBatch>,
    attend: () => {
      const request = Atomics.add(attention, ASKED, 1) + 1;
      Atomics.notify(attention, ASKED);
      return request;
    },
    hasAttended: (request) => Atomics.load(attention, HEARD) >= request,
    exited,
    ranOutOfMemory: () => ranOutOfMemory,
    terminate,
  };
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
