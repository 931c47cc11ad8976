/** How `docket watch` shows an execution: a live bar on a terminal, lines elsewhere, JSON for programs. */
import cliProgress from 'cli-progress';
import { isTerminal, WAITS_FOR_RESUME } from '../core/states.js';
import type { ProgressEvent, StateEvent } from '../tasks/events.js';
import { waitText } from '../tasks/limit-text.js';
import { failureLine } from './failure.js';
import { NO_WORKER } from './live-tasks.js';
import { print, printable, printJson, spanText } from './output.js';

/** A state, and its waits: for a permit, or for a worker. */
export type ShownState = StateEvent & {
  /** The limit, as `Execution.waitingFor` names it. */
  readonly waitingFor: string | null;
  /** Whether a live worker has its task, while it is due and no worker runs it; `null` while that is not known. */
  readonly hasWorker: boolean | null;
};

export interface WatchView {
  /** Shows an event. */
  show(event: ShownState | ProgressEvent): void;
  /** Writes a problem, or its end, to stderr. */
  warn(problem: string): void;
  /** Writes how the execution ended, and leaves the terminal as it was. */
  close(): void;
}

/** Chooses the view: JSON if it was asked for, a bar on a terminal, else lines. */
export function viewFor(key: string, task: string, isJson: boolean): WatchView {
  if (isJson) return { show: (event) => printJson(event), warn, close: () => {} };
  return process.stdout.isTTY ? new BarView(key, task) : new LineView();
}

/** One line for each event. */
class LineView implements WatchView {
  readonly warn = warn;

  show(event: ShownState | ProgressEvent): void {
    print(event.type === 'state' ? stateText(event, Date.now()) : progressText(event));
  }

  close(): void {}
}

/** One line that is redrawn ten times a second, so that times advance without an event. */
class BarView implements WatchView {
  readonly #bar: cliProgress.SingleBar;
  #isDrawn = false;
  #state: ShownState | null = null;
  #progress: ProgressEvent | null = null;

  constructor(key: string, task: string) {
    print(`${printable(task)} ${printable(key)}`);
    this.#bar = new cliProgress.SingleBar({
      format: () => this.#line(),
      stream: process.stdout,
      hideCursor: true,
      clearOnComplete: true, // close() prints the end as a line of its own
      gracefulExit: false, // follow() handles the signals
    });
  }

  show(event: ShownState | ProgressEvent): void {
    if (event.type === 'state') this.#state = event;
    else this.#progress = event;
    const { current = 0, total = 100 } = this.#progress ?? {};
    if (!this.#isDrawn) this.#draw();
    this.#bar.setTotal(total);
    this.#bar.update(current);
  }

  /** Removes the bar, prints the line, and draws the bar again below it as it was. */
  warn(problem: string): void {
    const wasDrawn = this.#isDrawn;
    this.#bar.stop();
    warn(problem);
    if (wasDrawn) this.#draw();
  }

  #draw(): void {
    const { current = 0, total = 100 } = this.#progress ?? {};
    this.#isDrawn = true;
    this.#bar.start(total, current);
  }

  close(): void {
    this.#bar.stop();
    if (this.#state && isTerminal(this.#state.state)) print(this.#line());
  }

  #line(): string {
    const state = this.#state ? stateText(this.#state, Date.now()) : '';
    const hasEnded = this.#state !== null && isTerminal(this.#state.state);
    if (hasEnded && this.#progress === null) return state; // no progress was ever reported
    const percent = percentOf(this.#progress);
    const filled = Math.round((percent / 100) * BAR_WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
    const message = this.#progress?.message ?? null;
    return [bar, `${percent}%`, state, ...(message === null ? [] : [printable(message)])].join('  ');
  }
}

function warn(problem: string): void {
  process.stderr.write(failureLine('docket', problem));
}

const BAR_WIDTH = 24;

function percentOf(progress: ProgressEvent | null): number {
  return progress === null ? 0 : Math.floor(Math.min(1, progress.current / progress.total) * 100);
}

function progressText(event: ProgressEvent): string {
  const message = event.message === null ? '' : `  ${printable(event.message)}`;
  return `progress  ${percentOf(event)}% (${event.current} of ${event.total})${message}`;
}

/** Formats state, timing, worker, and the reason for a failed or cancelled end. */
function stateText(event: ShownState, nowMs: number): string {
  const { state, worker, attempt, error, waitingFor, hasWorker } = event;
  const parts: string[] = [state];
  const time = timeText(event, nowMs);
  if (time !== null) parts.push(time);
  if (waitingFor === WAITS_FOR_RESUME) parts.push(waitText(waitingFor));
  else if (waitingFor !== null) parts.push(`waits for ${printable(waitText(waitingFor))}`);
  if (hasWorker === false) parts.push(NO_WORKER);
  if (worker !== null) parts.push(`on ${printable(worker)}`);
  if (attempt > 1) parts.push(`attempt ${attempt}`);
  return parts.join('  ') + (error === null ? '' : `: ${printable(error)}`);
}

function timeText(event: ShownState, nowMs: number): string | null {
  const { state, when, startedAt, completedAt, waitingFor } = event;
  switch (state) {
    case 'scheduled':
      if (waitingFor !== null) return null; // it was due, and its limit says when it may start
      return when.getTime() > nowMs
        ? `due in ${spanText(when.getTime() - nowMs)}`
        : `overdue by ${spanText(nowMs - when.getTime())}`; // it was requeued
    case 'queued':
      return `for ${spanText(nowMs - when.getTime())}`;
    case 'running':
      return startedAt && `for ${spanText(nowMs - startedAt.getTime())}`;
    default:
      return startedAt && completedAt && `after ${spanText(completedAt.getTime() - startedAt.getTime())}`;
  }
}
