/** Explains why a connection cannot be used, and tells whether waiting could help. */
import { RedisUnavailableError } from '../core/errors.js';
import { connectReason, isDatabaseMissing, isRefusedForGood } from './connect-errors.js';
import { MasterNotFoundError } from './master-search.js';
import { maskUrl } from './url.js';

/**
 * Makes the error for a server that cannot be used, with its masked URL and the reason.
 * @param master - the address of the server, where sentinels or nodes have named it and not the URL
 */
export function unavailable(
  url: string,
  cause: Error | undefined,
  master: string | null = null,
): RedisUnavailableError {
  const where = master === null ? maskUrl(url) : `${maskUrl(url)}, master ${master}`;
  return new RedisUnavailableError(`cannot use Redis at ${where}: ${reasonOf(cause)}`, cause && { cause });
}

function reasonOf(error: Error | undefined): string {
  if (error === undefined) return 'the server closed the connection, or was silent for too long';
  return error instanceof MasterNotFoundError ? error.message : connectReason(error);
}

/** Whether the next attempt would be refused as well. A wrong database is: the client would otherwise go on in 0. */
export function isPermanent(error: Error): boolean {
  if (error instanceof MasterNotFoundError) return error.isPermanent;
  return isRefusedForGood(error) || isDatabaseMissing(error);
}
