/** Says why a server could not be reached, and whether it would refuse the next attempt as well. */

/** An error of an attempt to connect. Those of the system and of TLS have a code. */
type ConnectError = Error & { readonly code?: unknown };

/** Returns the reason for people. */
export function connectReason(error: ConnectError): string {
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

/** Whether the server would refuse the next attempt as well: it does not accept the user, or its certificate is not trusted. */
export function isRefusedForGood(error: ConnectError): boolean {
  return /^(WRONGPASS|NOAUTH|NOPERM|ERR invalid password)/.test(error.message) || isCertificateProblem(error);
}

function isCertificateProblem({ code }: ConnectError): boolean {
  return typeof code === 'string' && /CERT|SIGNATURE|^ERR_(SSL|TLS)|^EPROTO$/.test(code);
}
