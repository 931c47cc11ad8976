/** The settings of a docket, as its producers and its workers use them. */
import type { Keys } from './keys.js';
import { maskUrl } from './url.js';

export interface DocketSettings {
  readonly name: string;
  readonly url: string;
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
