/** The entry of a worker thread, started by piscina: loads the task modules once, then runs the chunks that come over its port. */
import { isMainThread, threadId } from 'node:worker_threads';
import { receivedConnection } from '../channel/credentials.js';
import { LogWindow } from '../channel/log-window.js';
import {
  ASKED,
  type Booted,
  type ChunkMessage,
  decodeChunk,
  type FromThread,
  HEARD,
  type LogLine,
  type PlacementCounts,
  type ProgressMessage,
  type ThreadConfig,
  type ToThread,
} from '../channel/protocol.js';
import { SlotTable } from '../channel/slots.js';
import { assertNever } from '../core/assert.js';
import type { ServerConnectionOptions } from '../core/server-connection.js';
import { loadTasks } from '../tasks/loader.js';
import { type Manifest, manifestOf } from '../tasks/manifest.js';
import { encodeError } from '../wire/codec.js';
import { Executor } from './executor.js';
import { FailureHooks } from './failure-hooks.js';
import { LogSender } from './log-sender.js';
import { OutputSender } from './output.js';
import { Scope } from './scope.js';

type BootMessage = Extract<ToThread, { kind: 'boot' }>;

let scope: Scope | undefined;
let executor: Executor | undefined;
let failureHooks: FailureHooks | undefined;
let logs: LogSender | undefined;
let output: OutputSender | undefined;

/** Handles one message of the coordinator. The return value is posted back as the reply. */
export default async function receive(message: ToThread): Promise<Booted<Manifest> | null> {
  switch (message.kind) {
    case 'boot':
      return await boot(message).catch((error: unknown) => bootFailed(error));
    case 'failure':
      await failureHooks?.run(message.failure);
      return null;
    case 'dispose':
      await failureHooks?.idle();
      await executor?.dispose();
      await scope?.close();
      logs?.flush();
      output?.flush();
      return null;
    default:
      return assertNever(message);
  }
}

async function boot({
  config: sent,
  port,
  connection,
  logWindow,
  outputWindow,
}: BootMessage): Promise<Booted<Manifest>> {
  if (isMainThread) throw new Error('the thread entry runs in worker threads only');
  const config = connection ? withConnection(sent, receivedConnection(connection.sent, connection.port)) : sent;
  const send = (message: FromThread) => port.postMessage(message);
  const where = { docket: config.docket.name, worker: config.workerName, thread: threadId };
  output = new OutputSender(new LogWindow(outputWindow), send, where);
  output.redirect();
  const loaded = await loadTasks(config.tasks, undefined, { fallback: config.fallback });
  const sender = new LogSender(new LogWindow(logWindow), send, where);
  logs = sender;
  const reports = {
    log: (line: LogLine) => sender.send(line),
    progress: (message: ProgressMessage) => send({ kind: 'progress', message }),
    placements: (placements: PlacementCounts) => send({ kind: 'placements', placements }),
  };
  scope = new Scope(config, new SlotTable(config.slots), reports, loaded.errors);
  await scope.tracing.load(); // the task modules may have registered a provider
  const running = new Executor({
    loaded,
    scope,
    concurrency: config.concurrency,
    logsAttempts: config.logsAttempts,
    report: (batch, over) => send({ kind: 'outcomes', batch, over }),
  });
  executor = running;
  port.on('message', ({ chunk, items, patienceMs }: ChunkMessage) =>
    running.run(chunk, decodeChunk(items), patienceMs),
  );
  failureHooks = new FailureHooks(loaded, scope);

  port.unref(); // or tasks find it in process._getActiveHandles(); piscina's port keeps the thread alive
  // A task can end the thread, with process.exit() or an uncaught error.
  process.once('exit', () => {
    scope?.flush();
    running.flush();
    sender.flush();
    output?.flush();
  });
  void attendForever(running, new Int32Array(config.attention));
  return { kind: 'ready', manifest: manifestOf(loaded) };
}

function withConnection(config: ThreadConfig, connection: ServerConnectionOptions): ThreadConfig {
  return { ...config, docket: { ...config.docket, connection } };
}

/** Encodes the error, which would lose its class and code if it were thrown across the border of threads. */
function bootFailed(error: unknown): Booted<Manifest> {
  return { kind: 'failed', error: new Uint8Array(encodeError(error)) };
}

/**
 * Looks for attempts to stop whenever the coordinator asks (see ASKED in `protocol.ts`). It takes 37 us from the
 * coordinator's store to the abort of a signal, and no message is needed.
 */
async function attendForever(executor: Executor, attention: Int32Array): Promise<never> {
  for (;;) {
    const seen = Atomics.load(attention, ASKED);
    Atomics.store(attention, HEARD, seen);
    executor.attend();
    const wait = Atomics.waitAsync(attention, ASKED, seen);
    if (wait.async) await wait.value;
  }
}
