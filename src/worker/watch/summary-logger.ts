/** Tells every ten seconds in one line what was run, if anything was. */
import { aborted, Service } from '../../core/service.js';
import type { Count, TaskCounters } from '../../observe/task-counters.js';
import type { Logger } from '../../tasks/context.js';
import type { AttemptRecorder } from './attempt-recorder.js';

const EVERY_MS = 10_000;

export class SummaryLogger extends Service {
  readonly #tally: TaskCounters;
  readonly #meter: AttemptRecorder;
  readonly #logger: Logger;
  #before = { started: 0, succeeded: 0, failed: 0, retried: 0 };

  constructor(tally: TaskCounters, meter: AttemptRecorder, logger: Logger) {
    super();
    this.#tally = tally;
    this.#meter = meter;
    this.#logger = logger;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const timer = setInterval(() => this.#tell(), EVERY_MS);
    await aborted(signal);
    clearInterval(timer);
    this.#tell(); // the rest
  }

  #tell(): void {
    const now = { started: this.#started(), succeeded: this.#count('succeeded'), failed: 0, retried: 0 };
    now.failed = this.#count('failed');
    now.retried = this.#count('retried');
    const before = this.#before;
    this.#before = now;
    const { recent } = this.#tally;
    const [p50Ms, p99Ms] = [rounded(recent.quantile(0.5)), rounded(recent.quantile(0.99))];
    recent.reset();
    const [started, succeeded] = [now.started - before.started, now.succeeded - before.succeeded];
    const [failed, retried] = [now.failed - before.failed, now.retried - before.retried];
    if (started + succeeded + failed + retried === 0) return;
    const text = `${started} started, ${succeeded} succeeded, ${failed} failed, ${retried} tried again`;
    this.#logger.info({ started, succeeded, failed, retried, p50Ms, p99Ms }, text);
  }

  #started(): number {
    let started = this.#count('started');
    for (const { begun } of this.#meter.onThreads().values()) started += begun;
    return started;
  }

  #count(count: Count): number {
    return this.#tally.total(count);
  }
}

/** To three digits: they are not exact anyway. */
function rounded(ms: number): number {
  return Number(ms.toPrecision(3));
}
