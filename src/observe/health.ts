/**
 * What probes are told. Live: the coordinator's event loop turns, so restarting the process would not help. Ready: it reads
 * or claims, so work that is added is taken up; not the mere fact that the process answers.
 */
import type { Page, Routes } from './http.js';

export interface Health {
  /** How late the event loop was, at worst, within the last seconds. */
  loopDelayMs(): number;
  /** Beyond this the worker has lost its leases anyway. */
  readonly maximumLoopDelayMs: number;
  /** Why no work is taken at the moment; `null` when it is. */
  notReadyBecause(): string | null;
}

/** The pages of the health port. */
export function healthRoutes(health: Health): Routes {
  const live = () => liveness(health);
  return new Map([
    ['/', live],
    ['/healthz', live],
    ['/readyz', () => readiness(health)],
  ]);
}

function liveness(health: Health): Page {
  const delayMs = Math.round(health.loopDelayMs());
  const isLive = delayMs <= health.maximumLoopDelayMs;
  const reason = `the event loop was ${delayMs} ms late`;
  return page(isLive, isLive ? { status: 'live' } : { status: 'stuck', reason });
}

function readiness(health: Health): Page {
  const reason = health.notReadyBecause();
  return page(reason === null, reason === null ? { status: 'ready' } : { status: 'not ready', reason });
}

function page(isWell: boolean, body: object): Page {
  return {
    status: isWell ? 200 : 503,
    contentType: 'application/json; charset=utf-8',
    body: `${JSON.stringify(body)}\n`,
  };
}
