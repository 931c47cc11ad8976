/**
 * Has Redis claim executions in the round trip that reads them. The script is sent behind the read, on the same connection.
 * Redis runs it when the read has ended, before it sends either reply, so an idle worker gets an execution that it may
 * start at once.
 *
 *   without    read ──> entry    claim ──> answer    start
 *   with       read, claim ──> entry, answer         start
 *
 * Owns when that is done: only for tasks that need nothing but a claim and were met in the last half minute, and only while
 * this worker knows of nothing that could keep an execution from its claim. The Claimer claims what the script leaves.
 *
 * Owns the rule that a read claim must be fresh. The process may have stood still since, so that its lease has ended and
 * another worker has the execution. A claim that is sent afterwards would be refused. So a read claim that is older than
 * 100 ms, by the server's clock, is made again. So is one that was followed by an interruption of what the guards hear: a
 * cancel after the claim only asks the execution to stop.
 */
import { monotonicMs } from '../../core/clock.js';
import { claimRead, type Token } from '../../redis/delivery-store.js';
import type { Entry } from '../../redis/entry.js';
import { CLAIMED_WITH_READ, STREAM } from '../../redis/schema.js';
import type { WorkerContext } from '../context.js';
import type { AttemptBudget } from './attempt-budget.js';
import type { PauseGuard } from './pause-guard.js';
import type { StrikeGuard } from './strike-guard.js';

/** How long the tasks are remembered after the last execution. After that an idle worker sends nothing but its reads. */
const REMEMBERED_MS = 30_000;
/** The maximum number of tasks that are remembered: their names travel with each read. */
const MOST_TASKS = 16;
/** Far longer than a reply takes, and no longer than the shortest lease. */
const FRESH_FOR_MS = 100;

/** The executions that were claimed as they were read. */
export interface ReadClaim {
  readonly tokens: readonly Token[];
  /** When, in server milliseconds. */
  readonly atMs: number;
}

export interface ReadClaimsOptions
  extends Pick<WorkerContext, 'blocking' | 'keys' | 'consumer' | 'workerName' | 'clock'> {
  readonly strikeGuard: Pick<StrikeGuard, 'size'>;
  readonly pauseGuard: Pick<PauseGuard, 'size'>;
  readonly attemptBudget: Pick<AttemptBudget, 'isLimited'>;
}

const NONE: ReadonlySet<Token> = new Set();

export class ReadClaims {
  readonly #options: ReadClaimsOptions;
  /** Names of tasks, the one that was met last at the end. */
  readonly #tasks = new Set<string>();
  /** The task that was met last: most executions in a row are of one task. */
  #newest = '';
  #rememberedUntilMs = 0;
  /** The smallest id that an entry of the next read can have. */
  #from = '0-1';
  /** How many entries the last read brought. */
  #lastCount = 0;

  constructor(options: ReadClaimsOptions) {
    this.#options = options;
  }

  /** Notes that an execution of this task needs nothing but its claim. */
  remember(task: string): void {
    this.#rememberedUntilMs = monotonicMs() + REMEMBERED_MS;
    if (task === this.#newest) return;
    this.#newest = task;
    this.#tasks.delete(task);
    this.#tasks.add(task);
    if (this.#tasks.size > MOST_TASKS) this.#tasks.delete(this.#tasks.values().next().value!);
  }

  /** Forgets all tasks: their policies may have changed. */
  forget(): void {
    this.#tasks.clear();
    this.#newest = '';
  }

  /** Notes what a read has brought. */
  noteRead(entries: readonly Entry[]): void {
    this.#lastCount = entries.length;
    const last = entries.findLast(({ token }) => token.startsWith(STREAM.work));
    if (!last) return;
    const [ms, counter] = last.token.slice(1).split('-');
    this.#from = `${ms}-${Number(counter) + 1}`;
  }

  /**
   * Claims the executions of the read that was sent just before. Returns `null` when nothing is to be claimed so. Resolves to
   * `null` when the claim failed. Then the Claimer claims all executions.
   */
  claim(): Promise<ReadClaim | null> | null {
    if (!this.isWorthwhile) return null;
    const { blocking, keys, consumer, workerName } = this.#options;
    const claiming = claimRead(blocking, keys, {
      consumer,
      worker: workerName,
      from: this.#from,
      tasks: [...this.#tasks],
    });
    return claiming.catch(() => null);
  }

  /** Returns the tokens of the executions that are still ours by this claim. */
  fresh(claim: ReadClaim | null): ReadonlySet<Token> {
    if (!claim || claim.tokens.length === 0) return NONE;
    const { clock } = this.#options;
    const isFresh = clock.latestMs() - claim.atMs <= FRESH_FOR_MS && claim.atMs - clock.nowMs() <= FRESH_FOR_MS;
    return isFresh ? new Set(claim.tokens) : NONE;
  }

  /**
   * Whether the next read may claim what it brings. A busy worker reads more at once than the script takes, and claims it in
   * larger batches.
   */
  get isWorthwhile(): boolean {
    const { strikeGuard, pauseGuard, attemptBudget } = this.#options;
    if (this.#lastCount > CLAIMED_WITH_READ || monotonicMs() > this.#rememberedUntilMs) return false;
    return this.#tasks.size > 0 && strikeGuard.size + pauseGuard.size === 0 && !attemptBudget.isLimited;
  }
}
