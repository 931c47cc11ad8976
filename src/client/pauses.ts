/** Pauses and resumes tasks and whole dockets, for `Docket`. Owns the rules for their reasons. */
import type { Redis } from 'ioredis';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames, shown } from '../core/options.js';
import type { Keys } from '../redis/keys.js';
import { addPause, loadPauses, MOST_PAUSES, type PauseTerms, type StoredPause } from '../redis/pause-store.js';
import type { Pause, PauseOptions, ResumeOptions } from '../tasks/pause.js';
import { type AnyTask, checkTaskName } from '../tasks/task.js';
import { taskNameOf } from './task-name.js';

const DEFAULT_REASON = 'manual';
const MAX_REASON_CHARS = 200;
/** Control characters, and lone surrogates, which would not survive the way through Redis. */
const UNSAFE = /[\p{Cc}\p{Cs}]/u;

const OPTION_NAMES = optionNames<PauseOptions & ResumeOptions>({ reason: true });

/** @throws InvalidOptionError when the task or the reason cannot be used */
export function pauseTermsOf(task: AnyTask | string | null, options: PauseOptions): PauseTerms {
  const { task: name, reason } = resumeTermsOf(task, options);
  return { task: name, reason: reason ?? DEFAULT_REASON };
}

/**
 * Returns what to resume; every reason when that is `null`.
 * @throws InvalidOptionError when the task or the reason cannot be used
 */
export function resumeTermsOf(
  task: AnyTask | string | null,
  options: ResumeOptions,
): { readonly task: string | null; readonly reason: string | null } {
  checkOptionNames(options, OPTION_NAMES, '');
  const name = taskNameOf(task);
  if (name !== null) checkTaskName(name);
  const { reason = null } = options;
  if (reason !== null) checkReason(reason);
  return { task: name, reason };
}

/** @throws InvalidOptionError when there are as many pauses as there can be */
export async function pause(redis: Redis, keys: Keys, terms: PauseTerms): Promise<void> {
  if (await addPause(redis, keys, terms)) return;
  throw new InvalidOptionError('reason', `there are ${MOST_PAUSES} pauses, the most there can be: resume some first`);
}

/** Lists the pauses: those of the whole docket first. */
export async function listPauses(redis: Redis, keys: Keys): Promise<Pause[]> {
  return (await loadPauses(redis, keys)).map(pauseOf);
}

/** Returns a pause as the public API shows it. */
export function pauseOf({ task, reason, sinceMs }: StoredPause): Pause {
  return { task, reason, since: new Date(sinceMs) };
}

function checkReason(reason: unknown): asserts reason is string {
  if (typeof reason !== 'string' || reason.trim() === '') {
    throw new InvalidOptionError('reason', `expected text that is not empty, got ${shown(reason)}`);
  }
  if (reason.length > MAX_REASON_CHARS) {
    throw new InvalidOptionError('reason', `expected at most ${MAX_REASON_CHARS} characters, got ${reason.length}`);
  }
  if (UNSAFE.test(reason)) {
    const problem = `expected text without control characters and lone surrogates, got ${JSON.stringify(reason)}`;
    throw new InvalidOptionError('reason', problem);
  }
}
