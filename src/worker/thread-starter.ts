/** Starts the threads of a worker: makes the configuration of each, and routes its reports. */
import type { ThreadConfig } from '../channel/protocol.js';
import type { TaskCounters } from '../observe/task-counters.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import type { Dispatcher } from './dispatch/dispatcher.js';
import type { Lane } from './dispatch/lane.js';
import { isLevelEnabled, type WorkerLogger, type WorkerSettings } from './options.js';
import { startLocalThread } from './threads/local-thread.js';
import { startPiscinaThread } from './threads/piscina-thread.js';
import type { Thread, ThreadEvents } from './threads/thread.js';

export interface ThreadStartOptions {
  readonly docket: DocketSettings;
  readonly settings: WorkerSettings;
  readonly dispatcher: Dispatcher;
  readonly logger: WorkerLogger;
  readonly counters: TaskCounters | null;
}

/**
 * Starts a thread for the lane; with `threads: 0` it is the coordinator's own.
 *
 * @param signal - when it aborts before the tasks are loaded, the start is given up and the promise rejects
 */
export function startThread(lane: Lane, signal: AbortSignal, options: ThreadStartOptions): Promise<Thread> {
  const { settings } = options;
  const config = configOf(lane, options);
  const events = eventsOf(lane, options);
  return settings.threads > 0
    ? startPiscinaThread(config, events, signal, settings.maxThreadMemoryMb)
    : startLocalThread(config, settings, events, signal);
}

function configOf(lane: Lane, { docket, settings, dispatcher, logger }: ThreadStartOptions): ThreadConfig {
  const { tasks, fallback } = settings;
  const { name, url, connection, executionTtlMs, maxPayloadBytes, durability } = docket;
  return {
    slots: dispatcher.slots.buffer,
    attention: new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT),
    tasks: tasks.kind === 'modules' ? tasks.references : [],
    fallback: typeof fallback === 'string' ? fallback : null,
    logsAttempts: isLevelEnabled(logger, 'debug'),
    countsPlacements: settings.metricsPort !== null,
    concurrency: lane.concurrency,
    workerName: settings.name,
    docket: { name, url, connection, executionTtlMs, maxPayloadBytes, durability },
  };
}

function eventsOf(lane: Lane, { dispatcher, logger, counters }: ThreadStartOptions): ThreadEvents {
  return {
    onOutcomes: (batch) => dispatcher.receive(lane, batch),
    onProgress: (message) => dispatcher.receiveProgress(lane, message),
    onPlacements: (placements) => {
      if (!counters) return;
      for (const [placement, task, count] of placements) counters.of(task)[placement] += count;
    },
    onLog: ({ level, fields, message }) => logger[level](fields, message),
  };
}
