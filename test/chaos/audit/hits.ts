/**
 * Which faults hit which attempts. Only an attempt that was hit may have been delivered again, so this decides how strict the
 * auditor is: a fault of one worker excuses nothing that ran on another.
 */
import type { Attempt, FaultWindow, History, Loss } from '../history.js';

/** The outcome of a body that has ended is written within this time, on a busy machine, too. */
const SETTLES_WITHIN_MS = 3_000;

/** After a fault, workers may go on for so long with what they had read before. */
const LINGERS_MS = 5_000;

/** A body whose end was not recorded was cut short after this time, at most. */
const LONGEST_BODY_MS = 8_000;

/** A body that harms its thread is over, with its thread, after this time at most: its timeout, the grace, and a new thread. */
const HARM_LASTS_MS = 5_000;

/** The last writes before a fault that loses some are those of so many milliseconds. */
const RECENT_MS = 3_000;

export class Hits {
  readonly #faults: readonly FaultWindow[];

  constructor({ faults, added, attempts }: Pick<History, 'faults' | 'added' | 'attempts'>) {
    const hostile = new Set(added.filter(({ shape }) => shape === 'hostile').map(({ id }) => id));
    const harm = attempts.filter(({ id, redelivered, attempt }) => hostile.has(id) && !redelivered && attempt === 1);
    this.#faults = [...faults, ...harm.map(faultOf)];
  }

  /** The faults that can have had this attempt delivered again. */
  on(attempt: Attempt): FaultWindow[] {
    const endedMs = attempt.endedMs ?? attempt.startedMs + LONGEST_BODY_MS;
    return this.#faults.filter(({ reach, worker, beganMs, ...fault }) => {
      if (reach === 'none' || (reach === 'worker' && worker !== attempt.worker)) return false;
      return attempt.startedMs <= fault.endedMs + LINGERS_MS && endedMs >= beganMs - SETTLES_WITHIN_MS;
    });
  }

  /** Whether what was written at this time can have been lost: as one of the writes that these kinds of loss take. */
  mayHaveLost(writtenMs: number, kinds: readonly Loss[]): boolean {
    return this.#faults.some(({ loses, beganMs, endedMs }) => {
      if (!kinds.includes(loses) || writtenMs > endedMs) return false;
      return loses === 'everything' || writtenMs >= beganMs - RECENT_MS;
    });
  }

  /** Whether anything can have been lost between two times. */
  mayHaveLostBetween(fromMs: number, toMs: number): boolean {
    return this.#faults.some(
      ({ loses, beganMs, endedMs }) => loses !== 'nothing' && beganMs - RECENT_MS <= toMs && endedMs >= fromMs,
    );
  }
}

function faultOf({ id, worker, startedMs }: Attempt): FaultWindow {
  return {
    number: null,
    fault: 'body',
    name: `${id} harmed its thread`,
    reach: 'worker',
    loses: 'nothing',
    worker,
    beganMs: startedMs,
    endedMs: startedMs + HARM_LASTS_MS,
  };
}
