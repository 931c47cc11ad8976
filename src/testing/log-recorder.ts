/** Keeps the lines that the tasks of a test docket log. Those of the worker itself are dropped. */
import type { LogLine } from '../channel/protocol.js';
import type { Log } from '../tasks/context.js';
import type { WorkerLogger } from '../worker/options.js';

const MOST_LINES = 10_000;

export class LogRecorder implements WorkerLogger {
  readonly #lines: LogLine[] = [];
  readonly debug = this.#writer('debug');
  readonly info = this.#writer('info');
  readonly warn = this.#writer('warn');
  readonly error = this.#writer('error');

  /** Attempts are not logged: the lines of the tasks themselves are what a test looks for. */
  isLevelEnabled(level: string): boolean {
    return level !== 'debug';
  }

  /** The lines of bodies, dependencies and their clean-up, which name the thread that they come from. */
  get ofTasks(): readonly LogLine[] {
    return this.#lines;
  }

  #writer(level: LogLine['level']): Log {
    return (fieldsOrMessage: object | string, text?: string) => {
      const isText = typeof fieldsOrMessage === 'string';
      const fields = isText ? {} : (fieldsOrMessage as Readonly<Record<string, unknown>>);
      if (!('thread' in fields)) return;
      if (this.#lines.length === MOST_LINES) this.#lines.shift();
      this.#lines.push({ level, message: isText ? fieldsOrMessage : (text ?? ''), fields });
    };
  }
}
