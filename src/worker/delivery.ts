/**
 * One execution in the hands of this worker, from the read to the settlement. Owns what identifies it: its key, and its
 * place in line. It also says to which partition it belongs, so that its outcome cannot go to another one.
 */

import type { Outcome } from '../channel/protocol.js';
import type { StopReason } from '../channel/slots.js';
import type { Token } from '../redis/delivery-store.js';
import type { Entry } from '../redis/entry.js';
import type { ProgressReport } from '../redis/progress-store.js';
import { SUSPECT_AFTER } from '../redis/schema.js';
import type { Logger } from '../tasks/context.js';
import { type ExecutionPolicies, policiesWith } from '../tasks/overrides.js';
import { checkCombination, type TaskPolicies } from '../tasks/policies.js';
import { Envelope } from '../wire/envelope.js';
import type { ThreadDeath } from './threads/thread.js';

/**
 * The pipeline of the partition that a delivery was read from, as the parts see it that all partitions share. Whatever they
 * do with a delivery goes through this, so they need not know which partition it is.
 */
export interface DeliveryPipeline {
  /** Tag of the partition; '' for partition 0. */
  readonly tag: string;
  /** Milliseconds by which the clock of its server is ahead of the monotonic clock of this process. */
  readonly serverAheadMs: number;
  /** Settles an execution by its outcome, or reroutes it if its thread does not know the task. */
  settleOutcome(delivery: Delivery, outcome: Outcome): void;
  /** Settles an execution whose thread was lost. */
  settleThreadLost(delivery: Delivery, wasAlone: boolean, death: ThreadDeath | null): void;
  /** Settles an execution because of which its thread was ended. */
  settleThreadEnded(delivery: Delivery, reason: 'timeout' | StopReason): void;
  /** Requeues a suspect that cannot run here soon. */
  requeueSuspect(delivery: Delivery): void;
  /** Reroutes a suspect that has to run alone in its process, and cannot do so here soon. */
  rerouteSuspect(delivery: Delivery): void;
  /** Marks a suspect as alone in its process, or removes the mark. Resolves to false when it is no longer ours. */
  markAlone(delivery: Delivery, isAlone: boolean): Promise<boolean>;
  /** Requeues deliveries that have not started. */
  requeueUnstarted(deliveries: readonly Delivery[]): void;
  /** Writes the progress of executions that run here. */
  writeProgress(reports: readonly ProgressReport[]): Promise<void>;
}

/** An entry with its envelope and policies. Its getters read the entry, so that no field is copied. */
export class Delivery implements Omit<Entry, 'message'> {
  /** Name of the rate limit that counted its start when it was claimed: it must start soon or be counted again. */
  countedBy: string | null = null;
  /** Its number in the order in which the dispatcher got its deliveries. */
  arrival = 0;

  constructor(
    /** What was read from the stream. */
    readonly entry: Entry,
    readonly envelope: Envelope,
    /**
     * The policies of its task, or of the fallback, and its overrides; `null` when this worker has no such task, or cannot read
     * the message.
     */
    readonly policies: ExecutionPolicies | null,
    /** The pipeline of the partition that it was read from. */
    readonly pipeline: DeliveryPipeline,
  ) {}

  get token() {
    return this.entry.token;
  }

  get record() {
    return this.entry.record;
  }

  get dueMs() {
    return this.entry.dueMs;
  }

  get deliveries() {
    return this.entry.deliveries;
  }

  get charges() {
    return this.entry.charges;
  }

  get reroutes() {
    return this.entry.reroutes;
  }

  get admissionStage() {
    return this.entry.admissionStage;
  }

  get holdsPermits() {
    return this.entry.holdsPermits;
  }

  get hasBooking() {
    return this.entry.hasBooking;
  }

  get priority() {
    return this.entry.priority;
  }
}

/**
 * Makes a delivery of an entry.
 *
 * @param policiesOf - finds the policies of a task by its name
 * @param pipeline - the pipeline of the partition that the entry was read from
 * @throws UndecodableValueError when the entry has no message, or one that cannot be read
 * @throws InvalidOptionError when its overrides do not go with its task
 */
export function deliveryOf(
  entry: Entry,
  policiesOf: (task: string) => TaskPolicies | null,
  pipeline: DeliveryPipeline,
): Delivery {
  const envelope = new Envelope(entry.message ?? NO_MESSAGE);
  const declared = envelope.isReadable ? policiesOf(envelope.task) : null;
  if (declared === null || envelope.overrides === null) return new Delivery(entry, envelope, declared, pipeline);
  const policies = policiesWith(declared, envelope.overrides);
  checkCombination(policies); // the producer may have known the task by its name only
  return new Delivery(entry, envelope, policies, pipeline);
}

const NO_MESSAGE = Buffer.alloc(0);

/** Whether it must run on a thread of its own, as the only suspect of its worker, so that a death can be charged to it. */
export function isSuspect(delivery: Delivery): boolean {
  return delivery.deliveries >= SUSPECT_AFTER;
}

/** Returns the identity of the execution: the key of its record, else its id, else its token. */
export function keyOf({ record, envelope, token }: Pick<Delivery, 'record' | 'envelope' | 'token'>): string {
  return record ?? envelope.id ?? token;
}

/**
 * Returns the ticket of an execution without a record: its due time in microseconds, which can be compared with the
 * generations of executions that have a record. Within a millisecond, the order on the stream decides.
 */
export function ticketOf({ token, dueMs }: Delivery): number {
  const order = Number(token.slice(token.indexOf('-') + 1));
  return dueMs * 1_000 + Math.min(order, 999);
}

/** Logs a line about one execution: its task and `message`, with its key, attempt and `more` as fields. */
export function logDelivery(
  logger: Logger,
  level: 'debug' | 'info' | 'warn' | 'error',
  delivery: Delivery,
  message: string,
  more: Readonly<Record<string, unknown>> = {},
): void {
  const { task, attempt } = delivery.envelope;
  logger[level]({ task, key: keyOf(delivery), attempt, ...more }, `${task} ${message}`);
}

/** Returns the tokens of these deliveries. */
export function tokensOf(deliveries: Iterable<{ readonly token: Token }>): Set<Token> {
  const tokens = new Set<Token>();
  for (const { token } of deliveries) tokens.add(token);
  return tokens;
}
