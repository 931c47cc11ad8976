/** Finds out how large an argument of a command may be. A server breaks the link on which a larger one arrives. */
import type { Redis } from 'ioredis';

/** Every server takes this much, however it is configured. */
const LEAST_BYTES = 1024 * 1024;
/** A server takes this much unless it is configured otherwise. */
const DEFAULT_BYTES = 512 * LEAST_BYTES;
/** Reserved for the header that travels with the payload in one argument. */
const HEADER_BYTES = 64 * 1024;

/** The largest `maxPayloadBytes`, which fits into the default limit of a server. */
export const LARGEST_PAYLOAD_BYTES = DEFAULT_BYTES - LEAST_BYTES;

/**
 * Returns `maxPayloadBytes`, or less if the server takes less. If the user may not ask the server, the default is
 * assumed.
 */
export async function payloadLimit(redis: Redis, maxPayloadBytes: number): Promise<number> {
  if (maxPayloadBytes <= LEAST_BYTES) return maxPayloadBytes;
  const [, value] = (await redis.config('GET', 'proto-max-bulk-len').catch(() => [])) as string[];
  const takenBytes = Number(value) || DEFAULT_BYTES;
  return Math.min(maxPayloadBytes, takenBytes - HEADER_BYTES);
}
