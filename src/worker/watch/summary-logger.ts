/**
 * Logs every ten seconds in one line how many attempts started and how they ended, if there were any. Also counts the
 * executions that were cancelled, dropped by a limit or struck: of dropped and struck ones there is no other line at `info`.
 */
import { aborted, Service } from '../../core/service.js';
import type { Count, TaskCounters } from '../../observe/task-counters.js';
import type { Logger } from '../../tasks/context.js';
import type { AttemptRecorder } from './attempt-recorder.js';

const EVERY_MS = 10_000;

export class SummaryLogger extends Service {
  readonly #counters: TaskCounters;
  readonly #attempts: Pick<AttemptRecorder, 'onThreads'>;
  readonly #logger: Logger;
  #before = { started: 0, succeeded: 0, failed: 0, retried: 0, cancelled: 0, struck: 0 };

  constructor(counters: TaskCounters, attempts: Pick<AttemptRecorder, 'onThreads'>, logger: Logger) {
    super();
    this.#counters = counters;
    this.#attempts = attempts;
    this.#logger = logger;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const timer = setInterval(() => this.#logSummary(), EVERY_MS);
    await aborted(signal);
    clearInterval(timer);
    this.#logSummary(); // for the attempts since the last line
  }

  #logSummary(): void {
    const now = {
      started: this.#started(),
      succeeded: this.#total('succeeded'),
      failed: this.#total('failed'),
      retried: this.#total('retried'),
      cancelled: this.#total('cancelled'),
      struck: this.#total('stricken'),
    };
    const before = this.#before;
    this.#before = now;
    const { recent } = this.#counters;
    const durations = recent.isEmpty
      ? null
      : { p50Ms: rounded(recent.quantile(0.5)), p99Ms: rounded(recent.quantile(0.99)) };
    recent.reset();
    const [started, succeeded] = [now.started - before.started, now.succeeded - before.succeeded];
    const [failed, retried] = [now.failed - before.failed, now.retried - before.retried];
    const [cancelled, struck] = [now.cancelled - before.cancelled, now.struck - before.struck];
    if (started + succeeded + failed + retried + cancelled + struck === 0) return;
    const unrun = `${cancelled > 0 ? `, ${cancelled} cancelled or dropped` : ''}${struck > 0 ? `, ${struck} struck` : ''}`;
    const text = `${started} started, ${succeeded} succeeded, ${failed} failed, ${retried} retried${unrun}`;
    this.#logger.info({ started, succeeded, failed, retried, cancelled, struck, ...durations }, text);
  }

  /** Includes the attempts that are still on their threads, which the counters do not. */
  #started(): number {
    let started = this.#total('started');
    for (const { begun } of this.#attempts.onThreads().values()) started += begun;
    return started;
  }

  #total(count: Count): number {
    return this.#counters.total(count);
  }
}

/** Rounds to three digits: quantiles are not exact anyway. */
function rounded(ms: number): number {
  return Number(ms.toPrecision(3));
}
