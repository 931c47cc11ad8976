/**
 * The orderly end of a worker: nothing is lost, and no execution is charged.
 *
 * Owns the order of its steps, and the deadline: the drain takes at most `drainTimeoutMs`, whatever the tasks do and
 * whether Redis answers or not. Commands wait while Redis is unreachable. The drain waits with them for a second, or for
 * half of its time when there is something to write. What it leaves is redelivered.
 */
import { monotonicMs } from '../core/clock.js';
import { within } from '../core/service.js';
import type { Logger } from '../tasks/context.js';
import type { CommandLink } from './command-link.js';
import type { Delivery } from './delivery.js';
import type { Dispatcher } from './dispatch/dispatcher.js';
import type { ThreadSupervisor } from './dispatch/thread-supervisor.js';
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
  readonly services: Pick<Services, 'stopSuppliers' | 'stop'>;
  readonly dispatcher: Pick<Dispatcher, 'size' | 'close' | 'waitUntilEmpty' | 'interruptAll' | 'takeBackUnstarted'>;
  readonly supervisor: Pick<ThreadSupervisor, 'stop'>;
  readonly rerouter: Pick<Rerouter, 'idle'>;
  readonly settler: Pick<Settler, 'idle' | 'isIdle'>;
  readonly failureNotifier: Pick<FailureNotifier, 'isNeeded' | 'idle' | 'close'>;
  /** The link by which outcomes are written. */
  readonly link: Pick<CommandLink, 'downMs'>;
  readonly drainTimeoutMs: number;
  /** Milliseconds in which an attempt can end by itself after it was asked to stop. Part of the drain timeout. */
  readonly abortGraceMs: number;
  readonly logger: Logger;
  /** Requeues deliveries that have not started. */
  requeueUnstarted(deliveries: readonly Delivery[]): void;
  /** Takes this worker off the list of live workers. */
  leave(): Promise<void>;
}

export async function drain(options: DrainOptions): Promise<void> {
  const deadlineMs = monotonicMs() + options.drainTimeoutMs;
  const suppliersStopped = options.services.stopSuppliers();
  await untilAnswered(suppliersStopped, options, deadlineMs - options.abortGraceMs);
  requeueQueued(options);
  await waitForAttempts(options, deadlineMs);
  await interruptAttempts(options, deadlineMs);
  await tellFailures(options, deadlineMs);
  await endThreads(options, deadlineMs);
  requeueTakenBack(options);
  await settleAndLeave(options, suppliersStopped, deadlineMs);
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
  const { failureNotifier, settler, abortGraceMs } = options;
  const told = failureNotifier.isNeeded ? settler.idle().then(() => failureNotifier.idle()) : Promise.resolve();
  await untilAnswered(told, options, deadlineMs - abortGraceMs);
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
async function settleAndLeave(
  options: DrainOptions,
  suppliersStopped: Promise<void>,
  deadlineMs: number,
): Promise<void> {
  const { rerouter, settler, services, leave, drainTimeoutMs } = options;
  const lastMs = () => Math.max(deadlineMs, monotonicMs() + LAST_COMMANDS_MS);
  // Entries of a late read or claim are requeued, too.
  await untilAnswered(
    suppliersStopped.then(() => rerouter.idle()),
    options,
    lastMs(),
  );
  await untilAnswered(settler.idle(), options, lastMs(), settler.isIdle ? AWAY_MS : drainTimeoutMs / 2);
  await untilAnswered(services.stop().then(leave), options, lastMs());
}

/** Waits for work that needs Redis until `untilMs` at most, and no longer than `patienceMs` without a link to Redis. */
async function untilAnswered(
  work: Promise<void>,
  { link }: DrainOptions,
  untilMs: number,
  patienceMs = AWAY_MS,
): Promise<void> {
  let isPending = true;
  const done = work.then(() => {
    isPending = false;
  });
  while (isPending && monotonicMs() < untilMs && link.downMs <= patienceMs) {
    await within(done, Math.min(LOOK_EVERY_MS, untilMs - monotonicMs()));
  }
}
