/**
 * Runs the body of a task alone, without a docket, a worker or a server.
 *
 * Owns the rule that the attempt itself is the one of a worker: arguments are encoded and decoded, checked against `input`,
 * dependencies are made and cleaned up, and the outcome is decided by the same code. Only the scope around it is another one.
 */
import { randomUUID } from 'node:crypto';
import type { ChunkItem, LogLine, Outcome } from '../channel/protocol.js';
import { SlotTable, StopReason } from '../channel/slots.js';
import { dueTimeOf } from '../client/added-execution.js';
import { checkArguments } from '../client/prepare.js';
import { assertNever } from '../core/assert.js';
import { monotonicMs } from '../core/clock.js';
import { InvalidOptionError } from '../core/errors.js';
import { checkKey } from '../core/execution-key.js';
import { checkOptionNames, flagOf, optionNames, shown, wholeNumberOf } from '../core/options.js';
import { followingRun, type NextRunOverride } from '../tasks/next-run.js';
import { type Substitutes, withSubstitutes } from '../tasks/substitute.js';
import { definitionOf, isTask, type Task } from '../tasks/task.js';
import { Attempt } from '../thread/attempt.js';
import { runInCleanContext } from '../thread/clean-context.js';
import { RetryRequest } from '../thread/context.js';
import { SharedContext } from '../thread/executor.js';
import { runAttempt } from '../thread/run-attempt.js';
import { SharedInstances } from '../thread/shared-instances.js';
import { decodeError, decodeValue, encoderFor } from '../wire/codec.js';
import { Envelope, encodeEnvelope, withAttempt } from '../wire/envelope.js';
import { AloneScope } from './alone-scope.js';
import { hasRecorded } from './checks.js';
import { type Recorded, type RecordingDocket, recordingDocket } from './recording-docket.js';

/** Options of `runTask`. */
export interface RunTaskOptions {
  /** Number of the attempt, from 1. @default 1 */
  readonly attempt?: number;
  /** Key of the execution. @default a generated one */
  readonly key?: string;
  /** When this attempt is due, and the time at which it runs, for `ctx.when` and for what comes next. @default now */
  readonly when?: Date;
  /** Whether an earlier delivery of this attempt was lost with its worker. @default false */
  readonly redelivered?: boolean;
  /** Values in place of dependencies, by their names on a context, at any depth. @default what the factories make */
  readonly dependencies?: Substitutes;
  /** Asks the attempt to stop when it aborts. @default never */
  readonly signal?: AbortSignal;
  /** Whether the attempt is asked to stop from the start. @default false */
  readonly cancelled?: boolean;
  /**
   * Why it is asked to stop: because it was cancelled, or because its worker stops and it runs again elsewhere.
   * @default 'cancelled'
   */
  readonly stopReason?: 'cancelled' | 'interrupted';
  /** The docket that `ctx.docket` is. @default a new `recordingDocket()` */
  readonly docket?: RecordingDocket;
}

/** What follows an attempt: another attempt, or the next run of the chain. */
export interface Next {
  readonly kind: 'retry' | 'run';
  /** When it is due. */
  readonly when: Date;
  /** How long that is after this attempt, in milliseconds. */
  readonly afterMs: number;
  /** Number of the attempt: 1 for the next run. */
  readonly attempt: number;
  /** Its arguments. */
  readonly args: unknown;
}

/** How the attempt ended, and everything it did meanwhile. */
export type TaskRun<R> = Recorded & {
  /** The progress it reported last. */
  readonly progress: { readonly current: number; readonly total: number; readonly message: string | null };
  /** What it logged with `ctx.logger`, in order. */
  readonly logs: readonly LogLine[];
  /** What follows it; `null` for nothing. An execution that was interrupted runs again elsewhere, which nothing here decides. */
  readonly next: Next | null;
} & (
    | { readonly outcome: 'completed'; readonly result: R; readonly error?: undefined }
    | {
        readonly outcome: 'failed' | 'retry' | 'cancelled' | 'interrupted';
        readonly result?: undefined;
        /** What it threw, itself; the reason for the stop if it was asked to stop. */
        readonly error: unknown;
      }
  );

/** The parameters behind the task: the arguments may be left out when none of them is required. */
export type RunTaskRest<A> = {} extends A ? [args?: A, options?: RunTaskOptions] : [args: A, options?: RunTaskOptions];

const OPTION_NAMES = optionNames<RunTaskOptions>({
  attempt: true,
  key: true,
  when: true,
  redelivered: true,
  dependencies: true,
  signal: true,
  cancelled: true,
  stopReason: true,
  docket: true,
});

/** The row of the slot table: there is one attempt. */
const ROW = 0;
/** As for a docket with the default options. */
const MAX_PAYLOAD_BYTES = 1024 * 1024;

/**
 * Runs one attempt of a task here, as a worker does: with its `input`, its dependencies, its policies and a `ctx`. It needs no
 * server. `ctx.docket` records what is added. A `timeout` takes its real time.
 *
 * Never rejects for what the attempt does: see `outcome`, `result` and `error`.
 *
 * @throws InvalidOptionError when the task, the arguments or an option cannot be used
 * @throws UnencodableValueError for arguments that cannot be encoded, naming the field
 * @example
 * ```ts
 * const run = await runTask(charge, { orderId: 7 }, { attempt: 2, dependencies: { payments: fakePayments } });
 * assert.equal(run.outcome, 'retry');
 * assert.equal(run.next?.afterMs, 2_000);
 * ```
 */
export async function runTask<A extends object, R>(
  task: Task<string, A, R>,
  ...rest: RunTaskRest<NoInfer<A>>
): Promise<TaskRun<R>> {
  const [args = {}, options = {}] = rest as [args?: object, options?: RunTaskOptions];
  if (!isTask(task)) throw new InvalidOptionError('task', 'expected a task made with task()');
  checkArguments(task.name, args);
  const settings = resolve(options);
  const [substituted] = withSubstitutes([task], options.dependencies ?? {});
  const definition = definitionOf(substituted!);
  const docket = options.docket ?? recordingDocket({ ...(options.when && { now: options.when }) });

  const slots = new SlotTable(1);
  const scope = new AloneScope(slots, docket, MAX_PAYLOAD_BYTES);
  const encoded = encodeEnvelope(encoderFor(args, 'args'), task.name, 0, null, args);
  const message = new Uint8Array(withAttempt(new Envelope(encoded), settings.attempt));
  const { key, dueMs, isRedelivered } = settings;
  const epoch = slots.ship(ROW);
  const item: ChunkItem = { row: ROW, epoch, record: key, token: null, partition: '', dueMs, isRedelivered, message };

  const startedMs = monotonicMs();
  slots.begin(ROW, epoch, startedMs);
  const attempt = new Attempt(item, new Envelope(message), definition, scope, startedMs);
  const stop = () => {
    slots.requestStop(ROW, epoch, settings.reason);
    attempt.abortIfStopped();
  };
  if (options.cancelled || options.signal?.aborted) stop();
  options.signal?.addEventListener('abort', stop, { once: true });
  const shared = new SharedInstances(() => new SharedContext(scope));
  const services = { uses: [], shared, logsAttempts: false, tracing: scope.tracing };
  try {
    const outcome = await runInCleanContext(() => runAttempt(attempt, services));
    const { current, total, message: text } = attempt.progress;
    return {
      ...endOf<R>(attempt, outcome),
      next: nextOf(attempt, outcome, dueMs),
      progress: { current, total, message: text },
      logs: scope.logs,
      added: docket.added,
      cancelled: docket.cancelled,
    };
  } finally {
    options.signal?.removeEventListener('abort', stop);
    attempt.end();
    await shared.dispose(scope.logger({}));
  }
}

function resolve(options: RunTaskOptions) {
  checkOptionNames(options, OPTION_NAMES, '');
  const { key = randomUUID(), when = new Date(), stopReason = 'cancelled' } = options;
  checkKey(key);
  if (!(when instanceof Date) || Number.isNaN(when.getTime())) {
    throw new InvalidOptionError('when', 'expected a valid date');
  }
  if (stopReason !== 'cancelled' && stopReason !== 'interrupted') {
    throw new InvalidOptionError('stopReason', `expected 'cancelled' or 'interrupted', got ${String(stopReason)}`);
  }
  flagOf(options.cancelled ?? false, 'cancelled');
  if (options.signal !== undefined && typeof options.signal?.addEventListener !== 'function') {
    throw new InvalidOptionError('signal', `expected an AbortSignal, got ${shown(options.signal)}`);
  }
  if (options.docket !== undefined && !hasRecorded(options.docket)) {
    throw new InvalidOptionError('docket', `expected a recording docket, got ${shown(options.docket)}`);
  }
  return {
    key,
    dueMs: when.getTime(),
    attempt: wholeNumberOf(options.attempt ?? 1, 1, 'attempt'),
    isRedelivered: flagOf(options.redelivered ?? false, 'redelivered'),
    reason: StopReason[stopReason],
  };
}

function endOf<R>(
  attempt: Attempt,
  outcome: Outcome,
):
  | { readonly outcome: 'completed'; readonly result: R }
  | { readonly outcome: 'failed' | 'retry' | 'cancelled' | 'interrupted'; readonly error: unknown } {
  const thrown = attempt.failure?.error;
  switch (outcome.kind) {
    case 'completed':
      return { outcome: 'completed', result: (outcome.result ? decodeValue(outcome.result) : undefined) as R };
    case 'failed':
      // The last attempt cannot be retried, and fails with an error that says so.
      return { outcome: 'failed', error: thrown instanceof RetryRequest ? decodeError(outcome.error) : thrown };
    case 'retry':
      return { outcome: 'retry', error: thrown };
    case 'cancelled':
    case 'interrupted':
      return { outcome: outcome.kind, error: attempt.reasonToStop() };
    case 'unknown-task':
      throw new Error('unreachable: the task is at hand');
    default:
      return assertNever(outcome);
  }
}

function nextOf(attempt: Attempt, outcome: Outcome, nowMs: number): Next | null {
  const { envelope, policies } = attempt;
  if (outcome.kind === 'retry') {
    const when = dueTimeOf(outcome.due, nowMs);
    return next({ kind: 'retry', when, attempt: envelope.attempt + 1, args: envelope.args });
  }
  if (outcome.kind !== 'completed' && outcome.kind !== 'failed') return null;
  const override: NextRunOverride | undefined = outcome.next;
  const due = followingRun(policies, { dueMs: nowMs, counts: true }, override, nowMs);
  if (!due) return null;
  return next({ kind: 'run', when: dueTimeOf(due, nowMs), attempt: 1, args: override?.args ?? envelope.args });

  function next({
    kind,
    when,
    attempt: number,
    args,
  }: {
    kind: Next['kind'];
    when: number;
    attempt: number;
    args: Uint8Array;
  }) {
    return { kind, when: new Date(when), afterMs: when - nowMs, attempt: number, args: decodeValue(args) };
  }
}
