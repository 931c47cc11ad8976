/**
 * Recognises the server's error replies. Redis names the kind of an error in the first word of its text. Nothing else
 * in docket looks at these texts.
 */

/** Tells whether the server replied with an error: the link works, and the command was refused. */
export function isReplyError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/** The stream or its consumer group is gone: FLUSHALL, or a restart without persistence. */
export function isGroupMissing(error: unknown): boolean {
  return names(error, 'NOGROUP');
}

/** The consumer group is there already. */
export function doesGroupExist(error: unknown): boolean {
  return isOf(error, 'BUSYGROUP');
}

/** The server does not know the script, or has lost it in a restart. */
export function isScriptUnknown(error: unknown): boolean {
  return isOf(error, 'NOSCRIPT');
}

/** The master has become a replica behind the same address: only a new connection finds the new master. */
export function isDemoted(error: unknown): boolean {
  return names(error, 'READONLY');
}

/**
 * The server refuses all writes at the moment, whoever sends them: it lacks replicas, cannot save, is full, became a replica,
 * loads its data, or is busy with a script.
 */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && REFUSALS.test(error.message);
}

const REFUSALS = /\b(NOREPLICAS|MISCONF|OOM|READONLY|MASTERDOWN|CLUSTERDOWN|LOADING|BUSY)\b/;

/** The user may not run the command, or one that a script runs, or not on this key or channel. */
export function isForbidden(error: unknown): boolean {
  return isOf(error, 'NOPERM') || names(error, "user executing the script can't");
}

function isOf(error: unknown, code: string): boolean {
  return error instanceof Error && error.message.startsWith(code);
}

/** For errors that a script may have met: they have the code in the middle of the text. */
function names(error: unknown, code: string): boolean {
  return error instanceof Error && error.message.includes(code);
}
