/**
 * The orderly end of a worker: nothing is lost, and no execution is charged.
 *
 * Owns the order of its steps, and the deadline: the drain takes at most `drainTimeoutMs`, whatever the tasks do and whether Redis
 * answers or not. Commands wait while Redis is unreachable. The drain waits with them for a second, or for half of its time when
 * there is something to write. Everything that it leaves is redelivered.
 */
import { monotonicMs } from '../core/clock.js';
import { within } from '../core/service.js';
import type { Logger } from '../tasks/context.js';
import type { CommandLink } from './command-link.js';
import type { Delivery } from './delivery.js';
import type { Dispatcher } from './dispatch/dispatcher.js';
import type { ThreadSupervisor } from './dispatch/thread-supervisor.js';
import type { Mover } from './intake/mover.js';
import type { Rerouter } from './intake/rerouter.js';
import type { Services } from './services.js';
import type { FailureNotifier } from './settle/failure-notifier.js';
import type { Settler } from './settle/settler.js';

/** Milliseconds without a link to Redis after which the drain expects no answer. */
const AWAY_MS = 1_000;
/** How often the drain checks whether there is a link, in milliseconds. */
const LOOK_EVERY_MS = 50;
/** Milliseconds to settle, and again to sign off, even after the deadline. */
const LAST_COMMANDS_MS = 500;

export interface DrainOptions {
  readonly partitions: readonly DrainedPartition[];
  readonly dispatcher: Pick<Dispatcher, 'size' | 'close' | 'waitUntilEmpty' | 'interruptAll' | 'takeBackUnstarted'>;
  readonly supervisor: Pick<ThreadSupervisor, 'stop'>;
  readonly failureNotifier: Pick<FailureNotifier, 'isNeeded' | 'idle' | 'close'>;
  readonly drainTimeoutMs: number;
  /** Milliseconds in which an attempt can end by itself after it was asked to stop. Part of the drain timeout. */
  readonly abortGraceMs: number;
  readonly logger: Logger;
  /** Requeues deliveries that have not started. */
  requeueUnstarted(deliveries: readonly Delivery[]): void;
  /** Stops the services that all partitions share. */
  stopShared(): Promise<void>;
}

/** What the drain needs of a partition. */
export interface DrainedPartition {
  readonly services: Pick<Services, 'stopSuppliers' | 'stop'>;
  readonly pipeline: {
    readonly rerouter: Pick<Rerouter, 'idle'>;
    readonly mover: Pick<Mover, 'idle'>;
    readonly settler: Pick<Settler, 'idle' | 'isIdle'>;
  };
  /** The link by which outcomes are written. */
  readonly context: { readonly link: Pick<CommandLink, 'downMs'> };
  /** Takes this worker off the list of live workers. */
  leave(): Promise<void>;
}

export async function drain(options: DrainOptions): Promise<void> {
  const deadlineMs = monotonicMs() + options.drainTimeoutMs;
  const { partitions, abortGraceMs } = options;
  const stopping = partitions.map((partition) => ({ partition, suppliers: partition.services.stopSuppliers() }));
  await Promise.all(
    stopping.map(({ partition, suppliers }) => untilAnswered(suppliers, partition, deadlineMs - abortGraceMs)),
  );
  requeueQueued(options);
  await waitForAttempts(options, deadlineMs);
  await interruptAttempts(options, deadlineMs);
  await tellFailures(options, deadlineMs);
  await endThreads(options, deadlineMs);
  requeueTakenBack(options);
  await Promise.all(stopping.map(({ partition, suppliers }) => settle(partition, suppliers, options, deadlineMs)));
  await signOff(options, deadlineMs);
}

function requeueQueued({ dispatcher, requeueUnstarted }: DrainOptions): void {
  requeueUnstarted(dispatcher.close());
}

async function waitForAttempts({ dispatcher, abortGraceMs }: DrainOptions, deadlineMs: number): Promise<void> {
  await dispatcher.waitUntilEmpty(deadlineMs - abortGraceMs - monotonicMs());
}

async function interruptAttempts({ dispatcher, logger }: DrainOptions, deadlineMs: number): Promise<void> {
  if (dispatcher.size === 0) return;
  logger.warn({ running: dispatcher.size }, 'the drain timeout is near: running attempts are asked to stop');
  dispatcher.interruptAll();
  await dispatcher.waitUntilEmpty(deadlineMs - monotonicMs());
}

/** While there are threads, the modules on them are told of the last failures, once these are written. */
async function tellFailures(options: DrainOptions, deadlineMs: number): Promise<void> {
  const { partitions, failureNotifier, abortGraceMs } = options;
  if (failureNotifier.isNeeded) {
    const told = async ({ pipeline }: DrainedPartition) => {
      await pipeline.settler.idle();
      await failureNotifier.idle();
    };
    await Promise.all(partitions.map((one) => untilAnswered(told(one), one, deadlineMs - abortGraceMs)));
  }
  failureNotifier.close();
}

/** Attempts that are still on the threads are requeued uncharged, because they are not to blame. */
async function endThreads({ supervisor, abortGraceMs }: DrainOptions, deadlineMs: number): Promise<void> {
  await supervisor.stop(Math.max(0, Math.min(abortGraceMs, deadlineMs - monotonicMs())));
}

/** Requeues shipments that had not begun when their thread was ended. */
function requeueTakenBack({ dispatcher, requeueUnstarted }: DrainOptions): void {
  requeueUnstarted(dispatcher.takeBackUnstarted());
}

/** Leases and heartbeats are kept until everything is settled, or given up. */
async function settle(
  partition: DrainedPartition,
  suppliersStopped: Promise<void>,
  { drainTimeoutMs }: DrainOptions,
  deadlineMs: number,
): Promise<void> {
  const { rerouter, mover, settler } = partition.pipeline;
  // Entries of a late read or claim are requeued, too.
  await untilAnswered(
    suppliersStopped.then(async () => {
      await Promise.all([rerouter.idle(), mover.idle()]);
    }),
    partition,
    lastMs(deadlineMs),
  );
  await untilAnswered(settler.idle(), partition, lastMs(deadlineMs), settler.isIdle ? AWAY_MS : drainTimeoutMs / 2);
}

/** Stops the services and leaves each partition, all at once. */
async function signOff({ partitions, stopShared }: DrainOptions, deadlineMs: number): Promise<void> {
  const untilMs = lastMs(deadlineMs);
  const sharedStopped = stopShared();
  const leave = async (partition: DrainedPartition) => {
    await partition.services.stop();
    await Promise.all([sharedStopped, partition.leave()]);
  };
  await Promise.all(partitions.map((partition) => untilAnswered(leave(partition), partition, untilMs)));
}

/** Returns until when the next commands may take, on the monotonic clock. */
function lastMs(deadlineMs: number): number {
  return Math.max(deadlineMs, monotonicMs() + LAST_COMMANDS_MS);
}

/** Waits for work that needs Redis until `untilMs` at most, and no longer than `patienceMs` without a link to Redis. */
async function untilAnswered(
  work: Promise<void>,
  { context }: DrainedPartition,
  untilMs: number,
  patienceMs = AWAY_MS,
): Promise<void> {
  let isPending = true;
  const done = work.then(() => {
    isPending = false;
  });
  while (isPending && monotonicMs() < untilMs && context.link.downMs <= patienceMs) {
    await within(done, Math.min(LOOK_EVERY_MS, untilMs - monotonicMs()));
  }
}
