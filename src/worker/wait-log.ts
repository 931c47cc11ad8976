/** Logs that a worker which runs until nothing remains waits for a resume, since somebody has to act. */
import type { Logger } from '../tasks/context.js';
import { describePauses, type PauseGuard } from './intake/pause-guard.js';

/** Counts of what remains in the docket. */
export interface Remaining {
  readonly queued: number;
  readonly scheduled: number;
  readonly paused: number;
}

/** Writes one line for each change of what is paused, since the worker asks again and again. */
export class WaitLog {
  readonly #pauseGuard: Pick<PauseGuard, 'list' | 'isDocketPaused'>;
  readonly #logger: Logger;
  #lastText = '';

  constructor(pauseGuard: Pick<PauseGuard, 'list' | 'isDocketPaused'>, logger: Logger) {
    this.#pauseGuard = pauseGuard;
    this.#logger = logger;
  }

  /** Notes what remains. Logs a line if only the end of a pause can change that. */
  note({ queued, scheduled, paused }: Remaining): void {
    const { list, isDocketPaused } = this.#pauseGuard;
    const waits = isDocketPaused ? queued + paused : paused;
    const isWaiting = waits > 0 && (isDocketPaused || queued + scheduled === 0);
    const text = isWaiting ? describePauses(list) : '';
    if (text !== '' && text !== this.#lastText) {
      const fields = { paused: waits, scheduled };
      this.#logger.info(fields, `waiting for paused executions to be resumed (${waits}): ${text}`);
    }
    this.#lastText = text;
  }
}
