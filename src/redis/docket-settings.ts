/** The settings of a docket, as its producers and its workers use them. */

import { RedisUnavailableError } from '../core/errors.js';
import type { ServerConnectionOptions } from '../core/server-connection.js';
import { hashTagOf, type Keys } from './keys.js';
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
  /**
   * The tag of the partition to which the keys belong, '0' for the first of several.
   * @default the docket as a whole, or its only partition
   */
  readonly partition?: string | undefined;
  readonly executionTtlMs: number;
  readonly heartbeatIntervalMs: number;
  readonly missedHeartbeats: number;
  readonly maxPayloadBytes: number;
  /** How many replicas must have an add, and by when; `null` when the master alone is enough. */
  readonly durability: { readonly replicas: number; readonly timeoutMs: number } | null;
}

/** Names a docket in messages for people, with the password of its URL masked. */
export function describeDocket(settings: DocketSettings): string {
  return `${describePart(settings)} at ${maskUrl(settings.url)}`;
}

/**
 * Names a docket, and its partition if there are several. A partition is named by its hash tag, which no change of
 * their number touches.
 */
export function describePart({ name, partition, keys }: Pick<DocketSettings, 'name' | 'partition' | 'keys'>): string {
  return partition === undefined ? `docket '${name}'` : `partition ${hashTagOf(keys)} of docket '${name}'`;
}

/** Makes the error of a caller whose work on a docket failed with an error of the server or of the link. */
export function unusable(docket: DocketSettings, cause: unknown): RedisUnavailableError {
  return new RedisUnavailableError(`${describeDocket(docket)} could not be used: ${reasonOf(cause)}`, { cause });
}

function reasonOf(cause: unknown): string {
  if (isLinkError(cause)) return LINK_IS_DOWN;
  return cause instanceof Error ? explainReply(cause) : String(cause);
}
