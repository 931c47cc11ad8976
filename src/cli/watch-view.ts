/** How an execution that is followed is shown: a live bar on a terminal, lines elsewhere, JSON for programs. */
import cliProgress from 'cli-progress';
import { isTerminal } from '../core/states.js';
import type { ExecutionEvent, ProgressEvent, StateEvent } from '../tasks/events.js';
import { print, printable, printJson, spanText } from './output.js';

export interface WatchView {
  /** Shows an event. */
  tell(event: ExecutionEvent): void;
  /** Says how it ended, and leaves the terminal as it was. */
  close(): void;
}

/** Chooses how to show: JSON when a program reads it, a bar on a terminal, else lines. */
export function viewFor(key: string, task: string, isJson: boolean): WatchView {
  if (isJson) return { tell: (event) => printJson(event), close: () => {} };
  return process.stdout.isTTY ? new BarView(key, task) : new LineView();
}

/** One line for each event. */
class LineView implements WatchView {
  tell(event: ExecutionEvent): void {
    if (event.type === 'state') print(stateText(event, Date.now()));
    else if (event.updatedAt) print(progressText(event));
  }

  close(): void {}
}

/** One line that is drawn anew ten times a second, so that times go on without an event. */
class BarView implements WatchView {
  readonly #bar: cliProgress.SingleBar;
  #state: StateEvent | null = null;
  #progress: ProgressEvent | null = null;

  constructor(key: string, task: string) {
    print(`${printable(task)} ${printable(key)}`);
    this.#bar = new cliProgress.SingleBar({
      format: () => this.#line(),
      stream: process.stdout,
      hideCursor: true,
      clearOnComplete: true, // what it ended with is said in a line of its own
      gracefulExit: false, // whoever follows hears the signals
    });
  }

  tell(event: ExecutionEvent): void {
    const isFirst = this.#state === null && this.#progress === null;
    if (event.type === 'state') this.#state = event;
    else this.#progress = event;
    const { current = 0, total = 100 } = this.#progress ?? {};
    if (isFirst) this.#bar.start(total, current);
    this.#bar.setTotal(total);
    this.#bar.update(current);
  }

  close(): void {
    this.#bar.stop();
    if (this.#state && isTerminal(this.#state.state)) print(this.#line());
  }

  #line(): string {
    const state = this.#state ? stateText(this.#state, Date.now()) : '';
    const hasEnded = this.#state !== null && isTerminal(this.#state.state);
    if (hasEnded && !this.#progress?.updatedAt) return state; // nothing was ever reported
    const percent = percentOf(this.#progress);
    const filled = Math.round((percent / 100) * BAR_WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
    const message = this.#progress?.message ?? null;
    return [bar, `${percent}%`, state, ...(message === null ? [] : [printable(message)])].join('  ');
  }
}

const BAR_WIDTH = 24;

function percentOf(progress: ProgressEvent | null): number {
  return progress === null ? 0 : Math.floor(Math.min(1, progress.current / progress.total) * 100);
}

function progressText(event: ProgressEvent): string {
  const message = event.message === null ? '' : `  ${printable(event.message)}`;
  return `progress  ${percentOf(event)}% (${event.current} of ${event.total})${message}`;
}

/** State, timing, worker, and why it ended as it did. */
function stateText(event: StateEvent, nowMs: number): string {
  const { state, worker, attempt, error } = event;
  const words: string[] = [state];
  const time = timeText(event, nowMs);
  if (time !== null) words.push(time);
  if (worker !== null) words.push(`on ${printable(worker)}`);
  if (attempt > 1) words.push(`attempt ${attempt}`);
  return words.join('  ') + (error === null ? '' : `: ${printable(error)}`);
}

function timeText({ state, when, startedAt, completedAt }: StateEvent, nowMs: number): string | null {
  switch (state) {
    case 'scheduled':
      return `due in ${spanText(when.getTime() - nowMs)}`;
    case 'queued':
      return `for ${spanText(nowMs - when.getTime())}`;
    case 'running':
      return startedAt && `for ${spanText(nowMs - startedAt.getTime())}`;
    default:
      return startedAt && completedAt && `after ${spanText(completedAt.getTime() - startedAt.getTime())}`;
  }
}
