/** Logs executions that failed for good, each with its stack. */
import type { Logger } from '../../tasks/context.js';
import { stackOfError } from '../../wire/codec.js';
import { type Delivery, logDelivery } from '../delivery.js';
import type { FloodKind, FloodLog } from '../flood-log.js';

const FAILED: FloodKind = { level: 'error', what: 'failed' };

export class FailureLog {
  readonly #logger: Logger;
  readonly #floodLog: FloodLog;

  constructor(logger: Logger, floodLog: FloodLog) {
    this.#logger = logger;
    this.#floodLog = floodLog;
  }

  /** @param error - the encoded error, whose stack is logged; `null` when a stack would say nothing */
  log(delivery: Delivery, message: string, error: Uint8Array | null): void {
    this.#floodLog.log(FAILED, delivery.envelope.task, () => {
      const stack = error && stackOfError(error); // decoded and written in some 50 us
      logDelivery(this.#logger, 'error', delivery, message, stack ? { stack } : {});
    });
  }
}
