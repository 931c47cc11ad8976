/** The settings of a docket, as its producers and its workers use them. */

import { RedisUnavailableError } from '../core/errors.js';
import type { ServerConnectionOptions } from '../core/server-connection.js';
import type { Keys } from './keys.js';
import { explainReply } from './reply-errors.js';
import { maskUrl } from './url.js';

export interface DocketSettings {
  readonly name: string;
  readonly url: string;
  /** What the URL cannot say about connections to the server; `null` for nothing. */
  readonly connection: ServerConnectionOptions | null;
  readonly keys: Keys;
  readonly executionTtlMs: number;
  readonly heartbeatIntervalMs: number;
  readonly missedHeartbeats: number;
  readonly maxPayloadBytes: number;
  /** How many replicas must have an add, and by when; `null` when the master alone is enough. */
  readonly durability: { readonly replicas: number; readonly timeoutMs: number } | null;
}

/** Names a docket in messages for people, with the password of its URL masked. */
export function describeDocket({ name, url }: DocketSettings): string {
  return `docket '${name}' at ${maskUrl(url)}`;
}

/** Makes the error of a caller whose work on a docket failed with an error of the server or of the link. */
export function unusable(docket: DocketSettings, cause: unknown): RedisUnavailableError {
  const reason = cause instanceof Error ? explainReply(cause) : String(cause);
  return new RedisUnavailableError(`${describeDocket(docket)} could not be used: ${reason}`, { cause });
}
