/** Sends log lines to the coordinator, no further ahead of it than the log window allows, and counts what it drops. */
import { type LogWindow, unitsOf } from '../channel/log-window.js';
import type { FromThread, LogLine } from '../channel/protocol.js';
import { DropCount } from './drop-count.js';

export class LogSender {
  readonly #window: LogWindow;
  readonly #send: (message: FromThread) => void;
  readonly #dropped: DropCount;

  /** @param fields - those of the line that says how many were dropped */
  constructor(window: LogWindow, send: (message: FromThread) => void, fields: LogLine['fields']) {
    this.#window = window;
    this.#send = send;
    this.#dropped = new DropCount('log lines', send, fields);
  }

  /** Sends a line. Blocks the thread while the coordinator is too far behind. */
  send(line: LogLine): void {
    const units = unitsOf(line);
    if (!this.#window.take(units)) return this.#dropped.add();
    this.flush();
    this.#send({ kind: 'log', line, units });
  }

  /** Sends how many lines were dropped, if any were, whatever room there is. */
  flush(): void {
    this.#dropped.tell();
  }
}
