/** Counts what a thread drops because the coordinator could not write it in time, and logs the count. */
import type { FromThread, LogLine } from '../channel/protocol.js';

/** How long after the first drop the number is logged, if it was not logged before. */
const TELL_AFTER_MS = 1_000;

export class DropCount {
  readonly #what: string;
  readonly #send: (message: FromThread) => void;
  readonly #fields: LogLine['fields'];
  #count = 0;

  /** @param what - the kind of thing that is dropped, such as `log lines` */
  constructor(what: string, send: (message: FromThread) => void, fields: LogLine['fields']) {
    this.#what = what;
    this.#send = send;
    this.#fields = fields;
  }

  add(): void {
    if (this.#count === 0) setTimeout(() => this.tell(), TELL_AFTER_MS).unref();
    this.#count += 1;
  }

  /** Logs the number if anything was dropped, even if the window has no room. */
  tell(): void {
    if (this.#count === 0) return;
    const message = `${this.#count} ${this.#what} were dropped, because the worker could not write them in time`;
    this.#count = 0;
    this.#send({ kind: 'log', line: { level: 'warn', message, fields: this.#fields }, units: 0 });
  }
}
