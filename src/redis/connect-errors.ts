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
  if (isDatabaseMissing(error)) return `the server has no such database (${error.message})`;
  return error.message || String(error.code ?? error.name);
}

/** Returns what helps against the reason, beside a look at the server and the URL; `null` when nothing special does. */
export function connectAdvice(error: ConnectError): string | null {
  if (error.code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return 'give a host that the certificate names in the URL, or as connection.tls.servername';
  }
  if (isCertificateProblem(error)) return TLS_ADVICE;
  if (isDatabaseMissing(error)) {
    return 'change the number in --url (DOCKET_URL): a cluster has database 0 only, and one server as many as its setting databases says';
  }
  return /^(WRONGPASS|NOAUTH|ERR invalid password)/.test(error.message) ? LOGIN_ADVICE : null;
}

const TLS_ADVICE =
  'if another authority signed the certificate, name its file as tls.caFile in the file of DOCKET_CONNECTION, or in NODE_EXTRA_CA_CERTS; otherwise make sure that the server speaks TLS on this port, and that its certificate is valid';
const LOGIN_ADVICE =
  'give the user name and password of the server in --url (DOCKET_URL), or in the file of DOCKET_CONNECTION';

/** Whether the server refused the number of the database: it has fewer, or is a node of a cluster. */
export function isDatabaseMissing({ message }: Error): boolean {
  return /^ERR (DB index|invalid DB|SELECT is not allowed)/.test(message);
}

/** Whether the server would refuse the next attempt as well: it does not accept the user, or its certificate is not trusted. */
export function isRefusedForGood(error: ConnectError): boolean {
  return /^(WRONGPASS|NOAUTH|NOPERM|ERR invalid password)/.test(error.message) || isCertificateProblem(error);
}

function isCertificateProblem({ code }: ConnectError): boolean {
  return typeof code === 'string' && /CERT|SIGNATURE|^ERR_(SSL|TLS)|^EPROTO$/.test(code);
}
