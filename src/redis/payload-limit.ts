/** Finds out how large an argument of a command may be. A server breaks the link on which a larger one arrives. */
import type { Redis } from 'ioredis';

/** What every server takes, however it is configured. */
const LEAST_BYTES = 1024 * 1024;
/** What a server takes unless it is configured otherwise. */
const DEFAULT_BYTES = 512 * LEAST_BYTES;
/** Left for what travels with the payload in one argument. */
const HEADER_BYTES = 64 * 1024;

/** The largest `maxPayloadBytes`: what a server takes unless it is configured otherwise. */
export const LARGEST_PAYLOAD_BYTES = DEFAULT_BYTES - LEAST_BYTES;

/**
 * Returns `maxPayloadBytes`, or less if the server takes less. A server that does not tell, because the user may not ask, is
 * taken to have the default.
 */
export async function payloadLimit(redis: Redis, maxPayloadBytes: number): Promise<number> {
  if (maxPayloadBytes <= LEAST_BYTES) return maxPayloadBytes;
  const [, value] = (await redis.config('GET', 'proto-max-bulk-len').catch(() => [])) as string[];
  const takenBytes = Number(value) || DEFAULT_BYTES;
  return Math.min(maxPayloadBytes, takenBytes - HEADER_BYTES);
}
