/**
 * Recognises the errors of a link that is down. The client words them in terms of its own settings, which says nothing
 * to people.
 */

/** Whether a command failed because the link broke or could not be opened. The server has then refused nothing. */
export function isLinkError(error: unknown): error is Error {
  return error instanceof Error && ('syscall' in error || isWordedByClient(error));
}

/** Whether the text of such an error says nothing but that the link is down. Errors of the system say why. */
export function isWordedByClient(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return error.name === 'MaxRetriesPerRequestError' || CLIENT_TEXTS.test(error.message);
}

const CLIENT_TEXTS = /^(Connection is closed|Stream isn't writeable)/;

/** The text that people get in place of that of such an error. */
export const LINK_IS_DOWN = 'the link is down';
