/**
 * Commits outcomes to Redis in batches and holds their deliveries, leases included, until that is confirmed.
 *
 * Executions that keep nothing need only be acknowledged; all others go through the settle script. A batch that fails is
 * sent again until the lease would be over: then whoever the entry passes to runs it again, and what comes from here
 * late is fenced off.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Outcome } from '../../channel/protocol.js';
import { assertNever } from '../../core/assert.js';
import { Batcher } from '../../core/batcher.js';
import { monotonicMs } from '../../core/clock.js';
import { PoisonedError } from '../../core/errors.js';
import type { Count, TaskCounters } from '../../observe/task-counters.js';
import { finish, type Settlement, settle } from '../../redis/delivery-store.js';
import type { Keys } from '../../redis/keys.js';
import { type ProgressReport, reportProgress } from '../../redis/progress-store.js';
import { isReplyError } from '../../redis/reply-errors.js';
import { BATCH_BYTES, BATCH_ITEMS } from '../../redis/schema.js';
import type { Logger } from '../../tasks/context.js';
import { decide, timeoutErrorOf } from '../../tasks/decide.js';
import type { NextRunOverride } from '../../tasks/next-run.js';
import { nextRun } from '../../tasks/next-run.js';
import { encodeError } from '../../wire/codec.js';
import {
  type Delivery,
  ended,
  type FinalState,
  followed,
  keyOf,
  redelivered,
  requeued,
  requeuedAfter,
  requeuedSpentKey,
  rerouted,
  retried,
} from '../delivery.js';
import type { ServerClock } from '../fleet/server-clock.js';
import type { DropReason } from '../intake/intake.js';

const RETRY_AFTER_MS = 200;
/** Enough that no outcome waits for an answer about another: 130k/s with 2, 145k/s with 4 to 12 (lean no-ops, measured). */
const BATCHES_IN_FLIGHT = 6;
/** How long a suspect waits while another one runs. */
const SUSPECT_DELAY_MS = 1_000;
/** How long what this worker may run no more waits before it is read again, perhaps by another. */
const LEFT_DELAY_MS = 1_000;
/** The next run of one that was struck or that a limit dropped is at least so far away: it might be dropped again. */
const AFTER_DROP_MS = 1_000;

export interface SettlerOptions {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly leaseMs: number;
  readonly maxDeliveries: number;
  readonly clock: ServerClock;
  readonly logger: Logger;
  /** Counts what became of executions; `null` when nobody asks. */
  readonly tally: TaskCounters | null;
  /** Whether an execution without a record was cancelled. */
  isCancelled(delivery: Delivery): boolean;
  /** Takes what is not written yet of the progress of an execution that has run here. */
  takeProgress(delivery: Delivery): ProgressReport | null;
  /** An execution without a record has ended, whatever was asked of it. */
  onEnded(delivery: Delivery): void;
}

export class Settler {
  readonly #options: SettlerOptions;
  readonly #finishing: Batcher<Delivery>;
  readonly #settling: Batcher<Settling>;

  constructor(options: SettlerOptions) {
    this.#options = options;
    const limits = { maxItems: BATCH_ITEMS, maxBytes: BATCH_BYTES, maxInFlight: BATCHES_IN_FLIGHT };
    this.#finishing = new Batcher((batch) => this.#sendFinished(batch), { ...limits, sizeOf: () => 0 });
    this.#settling = new Batcher((batch) => this.#sendSettlements(batch), { ...limits, sizeOf: bytesOf });
  }

  /** Deliveries whose outcome is not confirmed yet; their leases must be kept. */
  *deliveries(): Iterable<Delivery> {
    yield* this.#finishing;
    for (const { delivery } of this.#settling) yield delivery;
  }

  /** Whether everything is committed, or given up. */
  get isIdle(): boolean {
    return this.#finishing.isIdle && this.#settling.isIdle;
  }

  /** Commits what became of an execution. */
  settle(delivery: Delivery, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'completed':
        this.#count(delivery, 'succeeded');
        return this.#end(delivery, { state: 'completed', result: outcome.result }, outcome.next);
      case 'failed': {
        this.#count(delivery, 'failed');
        this.#log('warn', delivery, `failed: ${outcome.line}`);
        const { error, line } = outcome;
        return this.#end(delivery, { state: 'failed', error, errorLine: line }, outcome.next);
      }
      case 'retry':
        if (this.#options.isCancelled(delivery)) return this.settle(delivery, { kind: 'cancelled' });
        this.#count(delivery, 'retried');
        this.#log('info', delivery, `is tried again: ${outcome.line}`);
        return this.#write(delivery, retried(delivery, outcome.due));
      case 'cancelled':
        this.#count(delivery, 'cancelled');
        this.#log('info', delivery, 'was cancelled');
        return this.#close(delivery, { state: 'cancelled' });
      case 'interrupted':
        return this.#write(delivery, requeued(delivery));
      default:
        return assertNever(outcome);
    }
  }

  /** Its time was over, and its thread had to be ended: the attempt failed. */
  timedOut(delivery: Delivery): void {
    const { task, attempt } = delivery.envelope;
    const error = timeoutErrorOf(task, delivery.policies!.timeoutMs!);
    const line = `${error.name}: ${error.message}`;
    const decision = decide(delivery.policies!, attempt, { kind: 'threw', isRetryable: true });
    this.settle(
      delivery,
      decision.kind === 'retry' ? { ...decision, line } : { kind: 'failed', error: encodeError(error), line },
    );
  }

  /** The limits of its task do not let it run, or cannot count it. The chain of a perpetual task goes on. */
  drop(delivery: Delivery, why: DropReason): void {
    if (why instanceof Error) {
      this.#count(delivery, 'failed');
      const errorLine = `${why.name}: ${why.message}`;
      this.#log('warn', delivery, `failed: ${errorLine}`);
      this.#end(delivery, { state: 'failed', error: encodeError(why), errorLine }, undefined, AFTER_DROP_MS);
    } else {
      this.#count(delivery, 'cancelled');
      this.#log('debug', delivery, `was dropped: ${why}`);
      this.#end(delivery, { state: 'cancelled', errorLine: `dropped by its ${why}` }, undefined, AFTER_DROP_MS);
    }
  }

  /** A strike keeps it from running. The chain of a perpetual task goes on, so that restoring it resumes it. */
  dropStruck(delivery: Delivery, why: string): void {
    this.#count(delivery, 'stricken');
    this.#log('debug', delivery, `was ${why}`);
    this.#end(delivery, { state: 'cancelled', errorLine: why }, undefined, AFTER_DROP_MS);
  }

  /** Gives claimed executions to whoever reads next; they have not run. */
  requeue(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) this.#write(delivery, requeued(delivery));
  }

  /** Suspects run one at a time: this one waits for its turn. */
  requeueSuspect(delivery: Delivery): void {
    this.#write(delivery, requeuedAfter(delivery, SUSPECT_DELAY_MS));
  }

  /** Nobody here can run it: it waits for a worker that can. */
  reroute(delivery: Delivery, delayMs: number): void {
    this.#write(delivery, rerouted(delivery, delayMs));
  }

  /** This worker runs its key no more. */
  requeueSpentKey(delivery: Delivery): void {
    this.#log('debug', delivery, 'is left to other workers: it was run here as often as was asked for');
    this.#write(delivery, requeuedSpentKey(delivery, LEFT_DELAY_MS));
  }

  /** The thread died under the execution. If it ran alone it is charged for that, and given up when it was too often. */
  threadLost(delivery: Delivery, wasAlone: boolean): void {
    const charge = wasAlone ? 1 : 0;
    if (delivery.charges + charge >= this.#options.maxDeliveries)
      return this.poison(delivery, delivery.charges + charge);
    this.#log('warn', delivery, `lost its thread and is delivered again, ${charge ? 'charged' : 'uncharged'}`);
    this.#write(delivery, redelivered(delivery, charge));
  }

  /** The execution has ended its thread or process too often. */
  poison(delivery: Delivery, charges = delivery.charges): void {
    const error = new PoisonedError(keyOf(delivery), charges);
    this.#count(delivery, 'poisoned');
    this.#count(delivery, 'failed');
    this.#log('error', delivery, error.message);
    const errorLine = `${error.name}: ${error.message}`;
    this.#end(delivery, { state: 'failed', error: encodeError(error), errorLine });
  }

  /** Resolves when everything is committed, or given up. */
  async idle(): Promise<void> {
    await Promise.all([this.#finishing.idle(), this.#settling.idle()]);
  }

  /** The run is over. If its task is perpetual the next one follows, unless somebody ended the chain. */
  #end(delivery: Delivery, ending: FinalState, said?: NextRunOverride, notBeforeMs = 0): void {
    const policy = delivery.policies?.perpetual;
    if (!policy) return this.#close(delivery, ending);
    if (this.#options.isCancelled(delivery)) return this.#close(delivery, { state: 'cancelled' });
    const nowMs = this.#options.clock.nowMs();
    const due = nextRun(policy, delivery, said, nowMs);
    if (due === null) {
      const endsChainOf = policy.isAutomatic && delivery.record === delivery.envelope.task ? delivery.record : '';
      return this.#close(delivery, { ...ending, endsChainOf });
    }
    this.#count(delivery, 'perpetuated');
    const dueMs = 'atMs' in due ? due.atMs : nowMs + due.delayMs;
    const next = dueMs < nowMs + notBeforeMs ? { delayMs: notBeforeMs } : due;
    this.#write(delivery, followed(delivery, ending.state, next, said?.args ?? null));
  }

  /** The execution is over. What keeps nothing leaves no trace of how. */
  #close(delivery: Delivery, ending: FinalState): void {
    const { record } = delivery;
    if (record !== null) return this.#write(delivery, ended(delivery, record, ending));
    this.#options.onEnded(delivery);
    if (mayHoldSlots(delivery)) this.#write(delivery, { kind: 'ended-unrecorded', token: delivery.token });
    else this.#finishing.push(delivery);
  }

  #write(delivery: Delivery, settlement: Settlement): void {
    const progress = this.#options.takeProgress(delivery); // in any case: nobody asks for it again
    const isOver = settlement.kind === 'ended' || settlement.kind === 'followed'; // the next attempt starts anew
    this.#settling.push({ delivery, settlement, progress: isOver ? progress : null });
  }

  async #sendFinished(batch: readonly Delivery[]): Promise<void> {
    const { redis, keys } = this.#options;
    const tokens = batch.map((delivery) => delivery.token);
    await this.#untilLeaseEnds(batch.length, async () => {
      for (const token of await finish(redis, keys, tokens)) {
        this.#supersede(batch.find((one) => one.token === token)!);
      }
    });
  }

  async #sendSettlements(batch: readonly Settling[]): Promise<void> {
    const { redis, keys, logger } = this.#options;
    const settlements = batch.map((settling) => settling.settlement);
    const deliveries = batch.map((settling) => settling.delivery);
    const progress = batch.flatMap((settling) => settling.progress ?? []);
    await this.#untilLeaseEnds(batch.length, async () => {
      if (progress.length > 0) await this.#writeProgress(progress);
      const { fenced, errors } = await settle(redis, keys, settlements);
      for (const { token } of fenced) {
        this.#supersede(deliveries.find((one) => one.token === token)!);
      }
      for (const error of errors) logger.error({ error }, 'the record of an execution that ended could not be written');
    });
  }

  /** Its entry was gone, or its key another's. */
  #supersede(delivery: Delivery): void {
    this.#count(delivery, 'superseded');
    this.#log('warn', delivery, 'ended here after its key or lease had passed on: nothing was written');
  }

  /**
   * Before the outcomes, while the entries still are ours: who sees the end sees the final values. What the server refuses
   * must not keep the outcomes back.
   */
  async #writeProgress(reports: readonly ProgressReport[]): Promise<void> {
    const { redis, keys, logger } = this.#options;
    await reportProgress(redis, keys, reports).catch((error: Error) => {
      if (!isReplyError(error)) throw error;
      logger.error({ error: String(error) }, 'the final progress of executions could not be written');
    });
  }

  async #untilLeaseEnds(count: number, write: () => Promise<void>): Promise<void> {
    const { redis, leaseMs, logger } = this.#options;
    const giveUpMs = monotonicMs() + leaseMs;
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (monotonicMs() > giveUpMs || redis.status === 'end') {
          logger.error({ error: String(error), count }, 'outcomes could not be written and are left to their leases');
          return;
        }
        logger.warn({ error: String(error), count }, 'outcomes could not be written, trying again');
        await delay(RETRY_AFTER_MS);
      }
    }
  }

  #count({ envelope }: Delivery, count: Count): void {
    if (this.#options.tally) this.#options.tally.of(envelope.task)[count] += 1;
  }

  #log(level: 'debug' | 'info' | 'warn' | 'error', delivery: Delivery, message: string): void {
    const { task, attempt } = delivery.envelope;
    this.#options.logger[level]({ task, key: keyOf(delivery), attempt }, `${task} ${message}`);
  }
}

interface Settling {
  readonly delivery: Delivery;
  readonly settlement: Settlement;
  /** What of its progress must be written before. */
  readonly progress: ProgressReport | null;
}

function mayHoldSlots({ policies, holdsPermits }: Delivery): boolean {
  return holdsPermits || policies?.limits?.some(({ kind }) => kind === 'concurrency') === true;
}

function bytesOf({ delivery, settlement }: Settling): number {
  if (settlement.kind === 'ended-unrecorded') return 0;
  if (settlement.kind === 'ended') return (settlement.result?.length ?? 0) + (settlement.error?.length ?? 0);
  return (settlement.message ?? delivery.envelope.bytes).length; // the script moves it, or the one it finds
}
