/** Explains why a connection cannot be used, and tells whether waiting could help. */
import { RedisUnavailableError } from '../core/errors.js';
import { isCertificateProblem } from './link-errors.js';
import { MasterNotFoundError } from './master-search.js';
import { maskUrl } from './url.js';

/** Makes the error for a server that cannot be used, with its masked URL and the reason. */
export function unavailable(url: string, cause: Error | undefined): RedisUnavailableError {
  return new RedisUnavailableError(`cannot use Redis at ${maskUrl(url)}: ${reasonOf(cause)}`, cause && { cause });
}

function reasonOf(error: (Error & { code?: unknown }) | undefined): string {
  if (error === undefined) return 'the server closed the connection, or was silent for too long';
  if (error instanceof MasterNotFoundError) return error.message;
  if (isCertificateProblem(error)) return `TLS failed (${error.message})`;
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'the connection was refused: nothing listens there';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'the server closed the connection';
    case 'ENOENT':
      return 'there is no socket at this path';
    case 'EACCES':
      return 'this user may not open the socket';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name is not known';
    case 'ETIMEDOUT':
      return 'the host did not answer in time';
  }
  if (/^(WRONGPASS|ERR invalid password)/.test(error.message)) return `wrong user name or password (${error.message})`;
  if (/^NOAUTH/.test(error.message)) return `the server asks for a password (${error.message})`;
  return error.message || String(error.code ?? error.name);
}

/** Whether the next attempt would be refused as well. A wrong database is: the client would otherwise go on in 0. */
export function isPermanent(error: Error): boolean {
  if (error instanceof MasterNotFoundError) return error.isPermanent;
  const isRefusal = /^(WRONGPASS|NOAUTH|NOPERM|ERR invalid password|ERR (DB index|invalid DB))/.test(error.message);
  return isRefusal || isCertificateProblem(error);
}
