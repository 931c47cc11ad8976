/** Sends log lines to the coordinator, no further ahead of it than the log window allows, and counts what it drops. */
import { type LogWindow, unitsOf } from '../channel/log-window.js';
import type { FromThread, LogLine } from '../channel/protocol.js';

/** How long after the first line that is dropped the number is sent, if no other line is logged before. */
const TELL_AFTER_MS = 1_000;

export class LogSender {
  readonly #window: LogWindow;
  readonly #send: (message: FromThread) => void;
  readonly #fields: LogLine['fields'];
  #dropped = 0;

  /** @param fields - those of the line that tells how many were dropped */
  constructor(window: LogWindow, send: (message: FromThread) => void, fields: LogLine['fields']) {
    this.#window = window;
    this.#send = send;
    this.#fields = fields;
  }

  /** Sends a line. Blocks the thread while the coordinator is too far behind. */
  send(line: LogLine): void {
    const units = unitsOf(line);
    if (!this.#window.take(units)) {
      if (this.#dropped === 0) setTimeout(() => this.flush(), TELL_AFTER_MS).unref();
      this.#dropped += 1;
      return;
    }
    this.flush();
    this.#send({ kind: 'log', line, units });
  }

  /** Sends how many lines were dropped, if any were, whatever room there is. */
  flush(): void {
    if (this.#dropped === 0) return;
    const message = `${this.#dropped} log lines were dropped, because the worker could not write them in time`;
    this.#dropped = 0;
    this.#send({ kind: 'log', line: { level: 'warn', message, fields: this.#fields }, units: 0 });
  }
}
