/**
 * Reads and writes the pauses: one hash, read as a whole, which exists while anything is paused. Its field `version` has the
 * number of the last change, by which followers notice that they have missed one.
 */
import type { Redis } from 'ioredis';
import { WAITS_FOR_RESUME } from '../core/states.js';
import type { Keys } from './keys.js';
import type { ListChange, ListSource } from './list-follower.js';
import { MOST_PAUSES, PAUSE, PAUSE_CHANGE, PAUSES } from './schema.js';
import { runScript } from './script.js';
import { storedTime } from './stored-time.js';

/** What is paused, and why. */
export interface PauseTerms {
  /** Name of the task; `null` for the whole docket. */
  readonly task: string | null;
  readonly reason: string;
}

/** A pause with the time at which it was made, in server milliseconds. */
export interface StoredPause extends PauseTerms {
  readonly sinceMs: number;
}

export { MOST_PAUSES };

/** Names the line in which the executions of a paused task wait, among the names of limits. */
export function lineOf(task: string): string {
  return PAUSE.task + encodeURIComponent(task);
}

/** Whether the name of a limit is that of the line of a paused task. */
export function isLine(limit: string): boolean {
  return limit.startsWith(PAUSE.task);
}

/** Returns what the public API says an execution waits for: the name of its limit, or that its task is paused. */
export function waitingForOf(limit: string): string {
  return isLine(limit) ? WAITS_FOR_RESUME : limit;
}

/** Reads all pauses: those of the whole docket first, then by task and reason. */
export async function loadPauses(redis: Redis, keys: Keys): Promise<StoredPause[]> {
  const { [PAUSES.version]: _version, ...fields } = await redis.hgetall(keys.paused);
  return Object.entries(fields)
    .flatMap(([field, sinceMs]) => {
      const terms = parseField(field);
      return terms ? [{ ...terms, sinceMs: storedTime(sinceMs) ?? 0 }] : [];
    })
    .sort((a, b) => compared(a.task ?? '', b.task ?? '') || compared(a.reason, b.reason));
}

/** Adds a pause. Returns false when there are too many. Changes nothing when the same pause exists. */
export async function addPause(redis: Redis, keys: Keys, { task, reason }: PauseTerms): Promise<boolean> {
  return (await runScript(redis, 'pause', [keys.paused], [keys.prefix, subjectOf(task), reason])) !== -1;
}

/** Ends the pause of a task (or of the docket) with this reason, or all of its pauses when it is `null`. Returns how many. */
export async function removePauses(
  redis: Redis,
  keys: Keys,
  task: string | null,
  reason: string | null,
): Promise<number> {
  const args = [keys.prefix, subjectOf(task), reason ?? ''];
  return (await runScript(redis, 'resume', [keys.paused, keys.wakes], args)) as number;
}

/** Returns the pauses for a follower. */
export function pauseSource(redis: Redis, keys: Keys): ListSource<PauseTerms> {
  const load = async () => {
    const { [PAUSES.version]: version = '', ...fields } = await redis.hgetall(keys.paused);
    const items = Object.keys(fields).map(parseField);
    return { items: items.filter((terms) => terms !== null), version };
  };
  return {
    channel: keys.pauseChanges,
    load,
    loadChanged: async (version) => {
      const latest = (await redis.hget(keys.paused, PAUSES.version)) ?? '';
      return latest === version ? null : await load();
    },
    parseChange,
  };
}

/** Reads `<version before> <version> <+ or -><what> <reason>`. */
function parseChange(message: string): ListChange<PauseTerms> {
  const first = message.indexOf(' ');
  const second = message.indexOf(' ', first + 1);
  return {
    versionBefore: message.slice(0, first),
    version: message.slice(first + 1, second),
    isAdded: message[second + 1] === PAUSE_CHANGE.pause,
    item: parseField(message.slice(second + 2)),
  };
}

function subjectOf(task: string | null): string {
  return task === null ? PAUSE.docket : lineOf(task);
}

/** Returns `null` for what another version of docket may have written. */
function parseField(field: string): PauseTerms | null {
  const space = field.indexOf(' ');
  const subject = field.slice(0, space);
  const reason = field.slice(space + 1);
  if (subject === PAUSE.docket) return { task: null, reason };
  if (space < 0 || !isLine(subject)) return null;
  try {
    return { task: decodeURIComponent(subject.slice(PAUSE.task.length)), reason };
  } catch {
    return null;
  }
}

function compared(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
