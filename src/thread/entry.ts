/** A worker thread: loads the task modules once, then runs the chunks it is sent. Started by piscina. */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { encodeError } from '../core/codec.js';
import {
  type Booted,
  decodeChunk,
  type FromThread,
  type OutcomeBatch,
  type ThreadConfig,
  type ToThread,
} from '../core/protocol.js';
import { SlotTable } from '../core/slots.js';
import { loadTasks } from '../tasks/loader.js';
import { manifestOf, type TaskManifest } from '../tasks/manifest.js';
import { Executor } from './executor.js';
import { Scope } from './scope.js';

let executor: Executor | undefined;

/** Answers one message of the coordinator; what it returns is posted back. */
export default async function receive(message: ToThread): Promise<Booted<TaskManifest> | OutcomeBatch> {
  if (message.kind === 'boot') {
    return await boot(workerData as ThreadConfig).catch((error: unknown) => bootFailed(error));
  }
  if (!executor) throw new Error('a chunk came before boot');
  return await executor.run(decodeChunk(message.items));
}

async function boot(config: ThreadConfig): Promise<Booted<TaskManifest>> {
  if (isMainThread || !parentPort) throw new Error('the thread entry runs in worker threads only');
  const port = parentPort;
  const send = (message: FromThread) => port.postMessage(message);
  const { tasks } = await loadTasks(config.tasks);
  executor = new Executor({
    tasks,
    scope: new Scope(config, new SlotTable(config.slots), (line) => send({ kind: 'log', line })),
    concurrency: config.concurrency,
    maxResultBytes: config.docket.maxPayloadBytes,
    report: (batch) => send({ kind: 'outcomes', batch }),
  });
  process.once('exit', () => executor?.flush()); // a task ended the thread: process.exit() or an uncaught error
  void attendForEver(executor, new Int32Array(config.attention));
  return { kind: 'ready', manifest: manifestOf(tasks.values()) };
}

/** An error is encoded: thrown across the border it would lose its class and code. */
function bootFailed(error: unknown): Booted<TaskManifest> {
  return { kind: 'failed', error: new Uint8Array(encodeError(error)) };
}

/** Waits on a word in shared memory: 37 us from the coordinator's store to the signal, and no message is needed. */
async function attendForEver(executor: Executor, attention: Int32Array): Promise<never> {
  for (;;) {
    const seen = Atomics.load(attention, 0);
    executor.attend();
    const wait = Atomics.waitAsync(attention, 0, seen);
    if (wait.async) await wait.value;
  }
}
