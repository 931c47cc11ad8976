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
 * Whether the server refuses all writes at the moment, whoever sends them: it lacks replicas, cannot save, is full, became a
 * replica, loads its data, or is busy with a script.
 */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && REFUSALS.test(error.message);
}

const REFUSALS = /\b(NOREPLICAS|MISCONF|OOM|READONLY|MASTERDOWN|CLUSTERDOWN|LOADING|BUSY)\b/;

/** The user may not run the command, or one that a script runs, or not on this key or channel. */
export function isForbidden(error: unknown): boolean {
  return isOf(error, 'NOPERM') || names(error, "user executing the script can't");
}

/** What a reply means, and what to do about it. */
export interface ReplyMeaning {
  readonly problem: string;
  readonly advice: string;
}

/** Returns what it means that the server refuses all writes, or that the user lacks a right; `null` for other errors. */
export function meaningOf(error: unknown): ReplyMeaning | null {
  const kind = isForbidden(error) ? 'NOPERM' : error instanceof Error ? (REFUSALS.exec(error.message)?.[0] ?? '') : '';
  return Object.hasOwn(MEANINGS, kind) ? MEANINGS[kind]! : null;
}

/** Returns the text of an error for people: what it means and what to do, if that is known, and the server's own words. */
export function explainReply(error: Error): string {
  const text = withoutPosition(error.message);
  const meaning = meaningOf(error);
  return meaning ? `${meaning.problem}: ${meaning.advice} (${text})` : text;
}

/** Removes what Redis adds to an error that a script met: the script and the line. */
export function withoutPosition(text: string): string {
  return text.replace(/,? *script: [0-9a-f]{40}, on @user_script:\d+\.?/g, '');
}

const MEANINGS: Readonly<Record<string, ReplyMeaning>> = {
  NOREPLICAS: {
    problem: 'the server has too few good replicas to take writes',
    advice: 'mend them, or lower its min-replicas-to-write',
  },
  MISCONF: {
    problem: 'the server cannot save its data, so it takes no writes',
    advice: 'look at its log and its disk',
  },
  OOM: {
    problem: "the server's memory is full",
    advice: 'raise its maxmemory, shorten executionTtl, or add workers',
  },
  READONLY: {
    problem: 'the server is a replica, which takes no writes',
    advice: 'give the URL of the master',
  },
  NOPERM: {
    problem: 'the user lacks a right',
    advice: 'run docket doctor, which names it',
  },
};

function isOf(error: unknown, code: string): boolean {
  return error instanceof Error && error.message.startsWith(code);
}

/** For errors that a script may have met: they have the code in the middle of the text. */
function names(error: unknown, code: string): boolean {
  return error instanceof Error && error.message.includes(code);
}
