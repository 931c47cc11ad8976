/**
 * Which faults hit which attempts. Only an attempt that was hit may have been delivered again, so this decides how strict the
 * auditor is: a fault of one worker excuses nothing that ran on another, and a fault of one thread nothing that ran beside it.
 */
import type { Attempt, FaultWindow, Harm, History, Loss } from '../history.js';

/** The outcome of a body that has ended is written within this time, on a busy machine, too: or after what held it. */
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
  /** Faults that held outcomes back, in the order in which they began. */
  readonly #holds: readonly FaultWindow[];

  constructor({ faults, added, attempts }: Pick<History, 'faults' | 'added' | 'attempts'>) {
    const harms = new Map(added.flatMap(({ id, harms }) => (harms === null ? [] : [[id, harms] as const])));
    const harmful = attempts.filter(({ id, redelivered, attempt }) => harms.has(id) && !redelivered && attempt === 1);
    this.#faults = [...faults, ...harmful.map((attempt) => harmOf(attempt, harms.get(attempt.id)!))];
    this.#holds = faults.filter(({ holdsOutcomes }) => holdsOutcomes).sort((a, b) => a.beganMs - b.beganMs);
  }

  /** The faults that can have had this attempt delivered again: all, or those that had begun before a time. */
  on(attempt: Attempt, begunBeforeMs = Infinity): FaultWindow[] {
    const writtenMs = this.#writtenMs(attempt);
    return this.#faults.filter((fault) => {
      const { worker, thread, beganMs } = fault;
      const reach = fault.reach === 'none' && this.#isDrainedInHold(attempt, fault) ? 'all' : fault.reach;
      if (reach === 'none' || (reach === 'worker' && worker !== attempt.worker)) return false;
      if (beganMs > begunBeforeMs || (thread !== null && thread !== attempt.thread)) return false;
      return attempt.startedMs <= fault.endedMs + LINGERS_MS && writtenMs >= beganMs;
    });
  }

  /** Whether its worker was drained while the outcome could not be written: it ends without it. */
  #isDrainedInHold(attempt: Attempt, { drains, worker, beganMs, endedMs }: FaultWindow): boolean {
    if (!drains || (worker ?? attempt.worker) !== attempt.worker) return false;
    const writtenMs = this.#writtenMs(attempt);
    return this.#holds.some((hold) => {
      const isOurs = (hold.worker ?? attempt.worker) === attempt.worker;
      const isMeanwhile = hold.beganMs <= endedMs && beganMs <= hold.endedMs;
      return isOurs && isMeanwhile && hold.beganMs <= writtenMs && attempt.startedMs <= hold.endedMs;
    });
  }

  /** When the outcome of an attempt was written at the latest: until then, a fault can have it delivered again. */
  #writtenMs({ worker, startedMs, endedMs }: Attempt): number {
    let latestMs = (endedMs ?? startedMs + LONGEST_BODY_MS) + SETTLES_WITHIN_MS;
    for (const hold of this.#holds) {
      const isBehind = hold.beganMs <= latestMs && startedMs <= hold.endedMs;
      if (isBehind && (hold.worker ?? worker) === worker)
        latestMs = Math.max(latestMs, hold.endedMs + SETTLES_WITHIN_MS);
    }
    return latestMs;
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

function harmOf({ id, worker, thread, startedMs }: Attempt, harm: Harm): FaultWindow {
  return {
    number: null,
    fault: 'body',
    name: `${id} harmed its thread`,
    reach: 'worker',
    loses: 'nothing',
    holdsOutcomes: false,
    drains: false,
    worker,
    thread: harm === 'thread' ? thread : null,
    beganMs: startedMs,
    endedMs: startedMs + HARM_LASTS_MS,
  };
}
