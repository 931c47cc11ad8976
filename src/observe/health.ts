/**
 * The replies to health probes. Live: the coordinator's event loop turns, so restarting the process would not help. Ready:
 * it reads or claims, so that work which is added gets done. A process that merely answers is not ready.
 */
import type { HttpReply, Routes } from './http.js';

export interface Health {
  /** Returns the longest delay of the event loop within the last seconds. */
  loopDelayMs(): number;
  /** A worker that is later than this has lost its leases anyway. */
  readonly maximumLoopDelayMs: number;
  /** Returns why the worker takes no work at the moment; `null` when it does. */
  notReadyBecause(): string | null;
  /** Returns the pauses in effect. A worker is ready all the same: restarting it would not help. */
  pauses(): readonly PauseDetail[];
  /** Returns the partitions of which the worker takes no work, if it takes work of others: it is ready all the same. */
  partitions?(): readonly PartitionDetail[];
}

/** A partition of which the worker takes no work, as the readiness shows it. */
export interface PartitionDetail {
  readonly partition: string;
  readonly reason: string;
}

/** A pause, as the readiness shows it; `task` is `null` for the whole docket. */
export interface PauseDetail {
  readonly task: string | null;
  readonly reason: string;
}

/** Returns the pages of the health port. */
export function healthRoutes(health: Health): Routes {
  const live = () => liveness(health);
  return new Map([
    ['/', live],
    ['/healthz', live],
    ['/readyz', () => readiness(health)],
  ]);
}

function liveness(health: Health): HttpReply {
  const delayMs = Math.round(health.loopDelayMs());
  const isLive = delayMs <= health.maximumLoopDelayMs;
  const reason = `the event loop was ${delayMs} ms late`;
  return reply(isLive, isLive ? { status: 'live' } : { status: 'stuck', reason });
}

function readiness(health: Health): HttpReply {
  const reason = health.notReadyBecause();
  const pauses = health.pauses();
  const status = reason === null ? { status: 'ready' } : { status: 'not ready', reason };
  const partitions = health.partitions?.() ?? [];
  const details = {
    ...(pauses.length > 0 && { paused: pauses }),
    ...(partitions.length > 0 && { partitions }),
  };
  return reply(reason === null, { ...status, ...details });
}

function reply(isHealthy: boolean, body: object): HttpReply {
  return {
    status: isHealthy ? 200 : 503,
    contentType: 'application/json; charset=utf-8',
    body: `${JSON.stringify(body)}\n`,
  };
}
