/**
 * Decides how a delivery that leaves this worker is settled, and hands the settlement to the writer.
 *
 * Owns the chain of a perpetual task: whatever ends one of its runs goes through `#end`, which places the next one. Owns
 * also the counts and log lines about the ends of executions.
 */
import type { AttemptOutcome, FailureDetails } from '../../channel/protocol.js';
import { assertNever } from '../../core/assert.js';
import { PoisonedError } from '../../core/errors.js';
import type { Count } from '../../observe/task-counters.js';
import type { AdmissionResult } from '../../redis/admission-store.js';
import type { Settlement } from '../../redis/delivery-store.js';
import type { FailureBounds } from '../../redis/failure-store.js';
import type { ProgressReport } from '../../redis/progress-store.js';
import { decide, timeoutErrorOf } from '../../tasks/decide.js';
import { followingRun, type NextRunOverride } from '../../tasks/next-run.js';
import { encodeError } from '../../wire/codec.js';
import type { WorkerContext } from '../context.js';
import { type Delivery, keyOf, logDelivery } from '../delivery.js';
import type { FloodKind, FloodLog } from '../flood-log.js';
import type { ThreadDeath } from '../threads/thread.js';
import { FailureLog } from './failure-log.js';
import type { FailureNotifier } from './failure-notifier.js';
import { SettlementWriter } from './settlement-writer.js';
import {
  bufferOf,
  ended,
  type FinalState,
  followed,
  paused,
  type Requeue,
  type Reroute,
  redelivered,
  requeued,
  rerouted,
  retried,
  unrecorded,
} from './settlements.js';

/** The next run after one that was dropped is at least this far away, because it might be dropped too. */
const AFTER_DROP_MS = 1_000;

/** Why an execution ends without having run. */
export type DropReason =
  /** One of its limits dropped it. */
  | { readonly kind: 'limit'; readonly limit: DroppingLimit }
  /** It lacks an argument that one of its limits counts by, or has one that cannot be counted by. */
  | { readonly kind: 'uncountable'; readonly error: Error }
  /** A strike keeps it from running; `reason` names it. */
  | { readonly kind: 'struck'; readonly reason: string };

export type DroppingLimit = Extract<AdmissionResult, 'cooldown' | 'debounce' | 'rate'>;

export interface SettlerOptions
  extends Pick<WorkerContext, 'redis' | 'link' | 'keys' | 'leaseMs' | 'clock' | 'logger' | 'counters' | 'workerName'> {
  readonly maxDeliveries: number;
  /** Whether an execution that has ended keeps its arguments. */
  readonly keepsArguments: boolean;
  /** How many failures are kept; `null` for none. */
  readonly failureBounds: FailureBounds | null;
  /** Is told of each failure that was written. */
  readonly failureNotifier: Pick<FailureNotifier, 'isNeeded' | 'notify'>;
  /** Whether the execution was cancelled, as far as this worker knows. */
  isCancelled(delivery: Delivery): boolean;
  /** Bounds the lines about executions. */
  readonly floodLog: FloodLog;
  /** Takes the unwritten progress of an execution that has run here; `null` when there is none. */
  takeProgress(delivery: Delivery): ProgressReport | null;
  /** Called when an execution without a record has ended, cancelled or not. */
  onUnrecordedEnd(delivery: Delivery): void;
  /** Called whenever settlements were written, or given up. */
  onWritten(): void;
}

const RETRIED: FloodKind = { level: 'info', what: 'was retried' };
const CANCELLED: FloodKind = { level: 'info', what: 'was cancelled' };
const LOST: FloodKind = { level: 'warn', what: 'lost its thread' };
const FENCED: FloodKind = { level: 'warn', what: 'ended here after its key or lease had passed on' };

export class Settler {
  readonly #options: SettlerOptions;
  readonly #writer: SettlementWriter;
  readonly #failures: FailureLog;

  constructor(options: SettlerOptions) {
    this.#options = options;
    this.#failures = new FailureLog(options.logger, options.floodLog);
    this.#writer = new SettlementWriter({
      ...options,
      onFenced: (delivery) => this.#logFenced(delivery),
      onFailureWritten: (delivery, failure) => options.failureNotifier.notify(delivery, failure),
    });
  }

  /** Deliveries whose settlement is not confirmed yet. Their leases must be kept. */
  deliveries(): Iterable<Delivery> {
    return this.#writer.deliveries();
  }

  /** Counts the bytes of the outcomes that are to be written. */
  countBytes(): number {
    return this.#writer.countBytes();
  }

  /** Whether everything is written, or given up. */
  get isIdle(): boolean {
    return this.#writer.isIdle;
  }

  /** Resolves when everything is written, or given up. Lines that are only counted are logged before. */
  async idle(): Promise<void> {
    await this.#writer.idle();
    this.#options.floodLog.endPeriod();
  }

  /** Settles an execution by the outcome of its attempt. */
  settle(delivery: Delivery, outcome: AttemptOutcome): void {
    switch (outcome.kind) {
      case 'completed':
        this.#count(delivery, 'succeeded');
        return this.#end(delivery, { state: 'completed', result: outcome.result }, outcome.next);
      case 'failed':
        return this.#fail(delivery, outcome.error, outcome.line, outcome);
      case 'retry':
        if (this.#options.isCancelled(delivery)) return this.settle(delivery, { kind: 'cancelled' });
        this.#count(delivery, 'retried');
        this.#logOften(RETRIED, delivery, `is retried: ${outcome.line}`);
        return this.#write(delivery, retried(delivery, outcome.due, outcome.line));
      case 'cancelled':
        this.#count(delivery, 'cancelled');
        this.#logOften(CANCELLED, delivery, 'was cancelled');
        return this.#close(delivery, { state: 'cancelled' });
      case 'interrupted':
        return this.requeue(delivery, { hasStarted: true });
      default:
        return assertNever(outcome);
    }
  }

  /** Settles an execution whose thread was ended because its time was over: the attempt failed. */
  settleTimeout(delivery: Delivery): void {
    const { task, attempt } = delivery.envelope;
    const error = timeoutErrorOf(task, delivery.policies!.timeoutMs!);
    const line = lineOf(error);
    const decision = decide(delivery.policies!, attempt, { kind: 'threw', isRetryable: true });
    if (decision.kind === 'retry') return this.settle(delivery, { ...decision, line });
    this.#fail(delivery, encodeError(error), line, { details: { name: error.name } });
  }

  /**
   * Ends an execution that has not run and must not. The chain of a perpetual task goes on, so that a struck one resumes
   * when it is restored.
   */
  drop(delivery: Delivery, cause: DropReason): void {
    switch (cause.kind) {
      case 'limit':
        this.#count(delivery, 'cancelled');
        logDelivery(this.#options.logger, 'debug', delivery, `was dropped: ${cause.limit}`);
        return this.#endUnrun(delivery, { state: 'cancelled', errorLine: `dropped by its ${cause.limit}` });
      case 'uncountable': {
        const { error } = cause;
        const errorLine = lineOf(error);
        this.#count(delivery, 'failed');
        this.#failures.log(delivery, `failed: ${errorLine}`, null);
        return this.#endUnrun(delivery, this.#failed(encodeError(error), errorLine, { name: error.name }));
      }
      case 'struck':
        this.#count(delivery, 'stricken');
        logDelivery(this.#options.logger, 'debug', delivery, `was ${cause.reason}`);
        return this.#endUnrun(delivery, { state: 'cancelled', errorLine: cause.reason });
      default:
        return assertNever(cause);
    }
  }

  /** Requeues an execution that has not ended, uncharged. */
  requeue(delivery: Delivery, how?: Requeue): void {
    this.#write(delivery, requeued(delivery, how));
  }

  /** Has an execution that has not started wait until its task is no longer paused. */
  pause(delivery: Delivery, how: { readonly isAdmitted: boolean }): void {
    this.#write(delivery, paused(delivery, how.isAdmitted));
  }

  /** Reroutes an execution that this worker cannot run, for a worker that can. */
  reroute(delivery: Delivery, how: Reroute): void {
    this.#write(delivery, rerouted(delivery, how));
  }

  /**
   * Redelivers an execution whose thread was lost. If it ran alone, it is charged for that, and poisoned once it was
   * charged `maxDeliveries` times.
   */
  redeliver(delivery: Delivery, wasAlone: boolean, death: ThreadDeath | null = null): void {
    const charge = wasAlone ? 1 : 0;
    const charges = delivery.charges + charge;
    if (charges >= this.#options.maxDeliveries) return this.poison(delivery, charges, death);
    this.#logOften(LOST, delivery, `lost its thread and is delivered again, ${charge ? 'charged' : 'uncharged'}`);
    this.#write(delivery, redelivered(delivery, charge));
  }

  /** Fails an execution that has ended its thread or process too often; `death` is what ended the last one, if known. */
  poison(delivery: Delivery, charges = delivery.charges, death: ThreadDeath | null = null): void {
    const error = new PoisonedError(keyOf(delivery), charges, death);
    this.#count(delivery, 'poisoned');
    this.#count(delivery, 'failed');
    const errorLine = lineOf(error);
    this.#failures.log(delivery, `failed: ${errorLine}`, null);
    this.#end(delivery, this.#failed(encodeError(error), errorLine, { name: error.name }));
  }

  /** Ends an execution whose last attempt failed. */
  #fail(
    delivery: Delivery,
    error: Uint8Array,
    line: string,
    { details, next }: { readonly details?: Partial<FailureDetails>; readonly next?: NextRunOverride },
  ): void {
    this.#count(delivery, 'failed');
    this.#failures.log(delivery, `failed: ${line}`, error);
    this.#end(delivery, this.#failed(error, line, details), next);
  }

  /** Returns the end of an execution that failed for good, with what is kept of it. */
  #failed(error: Uint8Array, errorLine: string, details: Partial<FailureDetails> = {}): FinalState {
    const { failureBounds, clock, workerName } = this.#options;
    if (failureBounds === null && !this.#options.failureNotifier.isNeeded) return { state: 'failed', error, errorLine };
    const { name = '', thread = null, tookMs } = details;
    const startedMs = tookMs === undefined ? null : clock.nowMs() - tookMs;
    const failure = { errorName: name, errorLine, error: bufferOf(error), worker: workerName, thread, startedMs };
    return { state: 'failed', error, errorLine, failure };
  }

  #endUnrun(delivery: Delivery, final: FinalState): void {
    this.#end(delivery, final, undefined, AFTER_DROP_MS);
  }

  /** Ends the run. If its task is perpetual, the next run follows, unless somebody ended the chain. */
  #end(delivery: Delivery, final: FinalState, override?: NextRunOverride, minimumDelayMs = 0): void {
    const { policies, dueMs: wasDueMs } = delivery;
    if (!policies?.perpetual) return this.#close(delivery, final);
    if (this.#options.isCancelled(delivery)) return this.#close(delivery, { state: 'cancelled' });
    const nowMs = this.#options.clock.nowMs();
    const counts = final.state !== 'cancelled'; // a limit or a strike has skipped it
    const due = followingRun(policies, { dueMs: wasDueMs, counts }, override, nowMs);
    if (due === null) {
      const endsChainOf =
        policies.perpetual.isAutomatic && delivery.record === delivery.envelope.task ? delivery.record : '';
      return this.#close(delivery, { ...final, endsChainOf });
    }
    this.#count(delivery, 'perpetuated');
    const dueMs = 'atMs' in due ? due.atMs : nowMs + due.delayMs;
    const next = dueMs < nowMs + minimumDelayMs ? { delayMs: minimumDelayMs } : due;
    this.#write(delivery, followed(delivery, final, { due: next, args: override?.args ?? null, counts }));
  }

  /** Ends the execution. One without a record leaves no trace of how it ended, unless it failed. */
  #close(delivery: Delivery, final: FinalState): void {
    const { record } = delivery;
    if (record !== null) return this.#write(delivery, ended(delivery, record, final, this.#options.keepsArguments));
    this.#options.onUnrecordedEnd(delivery);
    if (final.failure || mayHoldPermits(delivery)) this.#write(delivery, unrecorded(delivery, final.failure));
    else this.#writer.finish(delivery);
  }

  #write(delivery: Delivery, settlement: Settlement): void {
    const progress = this.#options.takeProgress(delivery); // taken in any case: nothing asks for it again
    const isOver = settlement.kind === 'ended' || settlement.kind === 'followed'; // the next attempt starts at 0
    this.#writer.write({ delivery, settlement, progress: isOver ? progress : null });
  }

  /** Counts and logs a fenced-off settlement: its entry was gone, or its key had passed to another execution. */
  #logFenced(delivery: Delivery): void {
    this.#count(delivery, 'superseded');
    this.#logOften(FENCED, delivery, 'ended here after its key or lease had passed on: nothing was written');
  }

  #count({ envelope }: Delivery, count: Count): void {
    if (this.#options.counters) this.#options.counters.of(envelope.task)[count] += 1;
  }

  #logOften(kind: FloodKind, delivery: Delivery, message: string): void {
    const { floodLog, logger } = this.#options;
    floodLog.log(kind, delivery.envelope.task, () => logDelivery(logger, kind.level, delivery, message));
  }
}

function mayHoldPermits({ policies, holdsPermits }: Delivery): boolean {
  return holdsPermits || policies?.limits?.some(({ kind }) => kind === 'concurrency') === true;
}

function lineOf(error: Error): string {
  return `${error.name}: ${error.message}`;
}
