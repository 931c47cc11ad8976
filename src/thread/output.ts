/**
 * Sends the output of tasks to stdout and stderr to the coordinator, which writes it. Owns the bound: the thread is no
 * further ahead of it than its window allows. Node would keep all output in memory until the thread has nothing to do.
 */
import { type LogWindow, unitsOfText } from '../channel/log-window.js';
import type { FromThread, LogLine, OutputStream } from '../channel/protocol.js';
import { DropCount } from './drop-count.js';

export class OutputSender {
  readonly #window: LogWindow;
  readonly #send: (message: FromThread) => void;
  readonly #dropped: DropCount;

  /** @param fields - those of the line that says how much was dropped */
  constructor(window: LogWindow, send: (message: FromThread) => void, fields: LogLine['fields']) {
    this.#window = window;
    this.#send = send;
    this.#dropped = new DropCount('writes to stdout or stderr', send, fields);
  }

  /** Takes over everything that is written to the streams of this thread, also by `console`. */
  redirect(): void {
    for (const name of ['stdout', 'stderr'] as const) {
      Object.assign(process[name], {
        _writev: null, // so that each write is seen by itself, and none waits for the one before
        _write: (chunk: string | Buffer, encoding: BufferEncoding, written: () => void) => {
          this.write(name, typeof chunk === 'string' && encoding !== 'utf8' ? Buffer.from(chunk, encoding) : chunk);
          written();
        },
      });
    }
  }

  /** Sends one write. Blocks the thread while the coordinator is too far behind. */
  write(stream: OutputStream, chunk: string | Uint8Array): void {
    const units = unitsOfText(chunk.length);
    if (!this.#window.take(units)) return this.#dropped.add();
    this.flush();
    // A copy, because cloning a view would copy the whole pool around it.
    this.#send({ kind: 'output', stream, data: typeof chunk === 'string' ? chunk : new Uint8Array(chunk), units });
  }

  /** Logs how much was dropped, if anything was. */
  flush(): void {
    this.#dropped.tell();
  }
}
