/** The settings of a docket, as its producers and its workers use them. */

import { RedisUnavailableError } from '../core/errors.js';
import type { ServerConnectionOptions } from '../core/server-connection.js';
import type { Keys } from './keys.js';
import { isLinkError, LINK_IS_DOWN } from './link-errors.js';
import { explainReply } from './reply-errors.js';
import { maskUrl } from './url.js';

export interface DocketSettings {
  readonly name: string;
  readonly url: string;
  /** What the URL cannot say about connections to the server; `null` for nothing. */
  readonly connection: ServerConnectionOptions | null;
  /** Those of one partition; of partition 0 unless it is named. */
  readonly keys: Keys;
  /** The tag of the partition to which the keys belong, for messages. @default the docket as a whole, or partition 0 */
  readonly partition?: string | undefined;
  readonly executionTtlMs: number;
  readonly heartbeatIntervalMs: number;
  readonly missedHeartbeats: number;
  readonly maxPayloadBytes: number;
  /** How many replicas must have an add, and by when; `null` when the master alone is enough. */
  readonly durability: { readonly replicas: number; readonly timeoutMs: number } | null;
}

/** Names a docket in messages for people, with the password of its URL masked. */
export function describeDocket({ name, url, partition }: Pick<DocketSettings, 'name' | 'url' | 'partition'>): string {
  const docket = `docket '${name}' at ${maskUrl(url)}`;
  return partition === undefined ? docket : `partition ${partition} of ${docket}`;
}

/** Makes the error of a caller whose work on a docket failed with an error of the server or of the link. */
export function unusable(docket: DocketSettings, cause: unknown): RedisUnavailableError {
  return new RedisUnavailableError(`${describeDocket(docket)} could not be used: ${reasonOf(cause)}`, { cause });
}

function reasonOf(cause: unknown): string {
  if (isLinkError(cause)) return LINK_IS_DOWN;
  return cause instanceof Error ? explainReply(cause) : String(cause);
}
