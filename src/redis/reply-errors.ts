/**
 * Recognises the server's error replies. Redis names the kind of an error in the first word of its text. Nothing else
 * in docket looks at these texts.
 */
import type { Address } from './url.js';

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

/** The command is about a key that is not there. */
export function isKeyMissing(error: unknown): boolean {
  return isOf(error, 'ERR no such key');
}

/** The server does not know the script, or has lost it in a restart. */
export function isScriptUnknown(error: unknown): boolean {
  return isOf(error, 'NOSCRIPT');
}

/**
 * Tells whether the server refused a command without doing any of it, because the master is `elsewhere`, or because it will
 * do it `later`; `null` for all other errors. READONLY and MASTERDOWN may come from within a script, as its first write.
 */
export function refusalOf(error: Error): 'elsewhere' | 'later' | null {
  if (/^MOVED\b|^UNBLOCKED .*instance state changed|\b(?:READONLY|MASTERDOWN)\b/.test(error.message))
    return 'elsewhere';
  return /^(?:ASK|TRYAGAIN|CLUSTERDOWN|LOADING)\b/.test(error.message) ? 'later' : null;
}

/**
 * The node that has the slot, as the reply of another one names it; its host is '' when it is the same. `null` when the reply names
 * none, or one that cannot be.
 */
export function movedTo(error: Error): Address | null {
  const [, host, port] = /^MOVED \d+ (.{0,255}):(\d{1,5})$/.exec(error.message) ?? [];
  if (port === undefined || Number(port) === 0 || Number(port) > 65_535) return null;
  return { host: host === '?' ? '' : host!, port: Number(port) };
}

/** The keys are on another node of the cluster. */
export function isMoved(error: unknown): boolean {
  return isOf(error, 'MOVED');
}

/** No node serves the keys, as far as this one knows. */
export function isClusterDown(error: unknown): boolean {
  return isOf(error, 'CLUSTERDOWN');
}

/** The server is no node of a cluster. */
export function isClusterDisabled(error: unknown): boolean {
  return names(error, 'cluster support disabled') || isCommandUnknown(error);
}

/** The server has no such command. */
export function isCommandUnknown(error: unknown): boolean {
  return isOf(error, 'ERR unknown command');
}

/**
 * Whether the server refuses all writes at the moment, whoever sends them: it lacks replicas, cannot save, is full, became a
 * replica, loads its data, is busy with a script, or is the wrong node of a cluster at the moment.
 */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && REFUSALS.test(error.message);
}

const REFUSALS =
  /^(?:MOVED|ASK|TRYAGAIN)\b|\b(?:NOREPLICAS|MISCONF|OOM|READONLY|MASTERDOWN|CLUSTERDOWN|LOADING|BUSY)\b/;

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

const MOVING: ReplyMeaning = {
  problem: 'the keys of this docket are on their way to another node of the cluster',
  advice: 'it goes on when all of them have arrived',
};

const FIND_MASTER = 'give the URL of the master; redis+sentinel:// and redis+cluster:// URLs find it by themselves';

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
    advice: FIND_MASTER,
  },
  MASTERDOWN: {
    problem: 'the server is a replica whose master is down',
    advice: FIND_MASTER,
  },
  LOADING: {
    problem: 'the server is loading its data',
    advice: 'it answers when that is done',
  },
  CLUSTERDOWN: {
    problem: 'no node of the cluster serves the keys of this docket at the moment',
    advice: 'look at CLUSTER INFO on its nodes',
  },
  MOVED: {
    problem: 'the keys of this docket are on another node of the cluster',
    advice: 'redis+cluster:// URLs follow them by themselves; a redis:// URL must become one',
  },
  ASK: MOVING,
  TRYAGAIN: MOVING,
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
