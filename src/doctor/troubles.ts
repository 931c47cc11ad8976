/** Checks for what goes wrong while a docket runs: tasks that fail, work that does not start, workers that fell silent. */
import type { Redis } from 'ioredis';
import type { Docket } from '../client/docket.js';
import { countText, spanText } from '../core/text.js';
import { workerNameOf } from '../redis/fleet-store.js';
import type { Keys } from '../redis/keys.js';
import { measure } from '../redis/snapshot-store.js';
import type { Snapshot } from '../tasks/snapshot.js';
import { type Finding, ok, warn } from './finding.js';

const FAILING_MINUTES = 5;
/** A task that has not failed in these was repaired. The last of them has just begun. */
const LAST_MINUTES = 2;
/** Fewer failures than these say little. */
const MANY_FAILURES = 5;
const LARGE_SHARE = 0.05;
const MOST_NAMED = 3;

/** Names the tasks of which many executions fail for good now. */
export async function checkFailing(docket: Docket): Promise<Finding> {
  const check = 'failing tasks';
  const within = `in the last ${FAILING_MINUTES} minutes`;
  const failing = (await docket.stats({ minutes: FAILING_MINUTES }))
    .filter(({ failedByMinute }) => failedByMinute.slice(-LAST_MINUTES).some((failed) => failed > 0))
    .map(({ task, failed, succeeded }) => ({ task, failed, ended: failed + succeeded }))
    .filter(({ failed, ended }) => failed >= MANY_FAILURES && failed >= LARGE_SHARE * ended)
    .toSorted((a, b) => b.failed - a.failed);
  const worst = failing[0];
  if (!worst) return ok(check, `no task failed often ${within}`);
  const named = failing.slice(0, MOST_NAMED).map(({ task, failed, ended }) => `${task} ${failed} of ${ended}`);
  const more = failing.length > MOST_NAMED ? ', …' : '';
  const advice = `docket failures --task ${worst.task} shows why, docket pause ${worst.task} keeps more from starting`;
  return warn(check, `executions that failed for good ${within}: ${named.join(', ')}${more}`, advice);
}

/** As long as the alert for Prometheus waits. */
const LATE_MS = 300_000;

/** Says that what is due does not start. While the whole docket is paused, that is what somebody asked for. */
export async function checkBacklog(redis: Redis, keys: Keys, { totals, pauses, workers }: Snapshot): Promise<Finding> {
  const check = 'backlog';
  const { oldestQueuedMs } = await measure(redis, keys);
  const detail = `${countText(totals.queued, 'execution')} queued`;
  const isPaused = pauses.some(({ task }) => task === null);
  if (oldestQueuedMs < LATE_MS || totals.queued === 0 || isPaused || workers.length === 0) return ok(check, detail);
  const advice = 'docket ls --count says of which tasks, docket top what the threads do: add workers, or take work out';
  return warn(check, `${detail}, the next of them due for ${spanText(oldestQueuedMs)}`, advice);
}

/** A consumer of a group whose worker is not among the live ones, and that has deliveries. */
export interface SilentConsumer {
  readonly consumer: string;
  readonly pending: number;
  readonly idleMs: number;
}

/** Names the workers that died or hang, and have executions that nobody has taken over yet. */
export function checkSilent(silent: readonly SilentConsumer[], hasWorkers: boolean): Finding {
  const check = 'silent workers';
  if (silent.length === 0) return ok(check, 'none has executions');
  const byConsumer = new Map<string, SilentConsumer>();
  for (const { consumer, pending, idleMs } of silent) {
    const before = byConsumer.get(consumer) ?? { pending: 0, idleMs };
    byConsumer.set(consumer, {
      consumer,
      pending: before.pending + pending,
      idleMs: Math.min(before.idleMs, idleMs),
    });
  }
  const named = [...byConsumer.values()]
    .toSorted((a, b) => b.pending - a.pending)
    .slice(0, MOST_NAMED)
    .map(({ consumer, pending, idleMs }) => {
      const has = `has ${countText(pending, 'execution')}`;
      return `${workerNameOf(consumer)}, silent for ${spanText(idleMs)}, ${has}`;
    });
  const more = byConsumer.size > MOST_NAMED ? `; and ${byConsumer.size - MOST_NAMED} more` : '';
  const advice = hasWorkers
    ? 'live workers run them when their leases end; look at the process: if it hangs, end it'
    : 'start a worker: it runs them when their leases end';
  return warn(check, `${named.join('; ')}${more}`, advice);
}
