/**
 * Calls the functions `onFailed` of the modules on a thread, one after the other. Owns two rules: none of them is waited for
 * longer than its time, and whatever it throws is logged.
 */
import { clearTimeout, setTimeout } from 'node:timers'; // not the global ones, which tasks may replace
import type { FailureNotice } from '../channel/protocol.js';
import { TimeoutError } from '../core/errors.js';
import { LONGEST_TIMER_MS } from '../core/service.js';
import type { FailedContext, FailedExecution, OnFailed } from '../tasks/configure.js';
import type { LoadedTasks } from '../tasks/loader.js';
import { definitionOf } from '../tasks/task.js';
import { decodeError, decodeValue, type ErrorClass } from '../wire/codec.js';
import { Envelope } from '../wire/envelope.js';
import { runInCleanContext } from './clean-context.js';
import { lineOf } from './failure.js';
import type { ThreadScope } from './scope.js';

/** The time of a task without a timeout. */
const DEFAULT_TIMEOUT_MS = 30_000;

export class FailureHooks {
  readonly #loaded: LoadedTasks;
  readonly #scope: ThreadScope;
  readonly #running = new Set<Promise<void>>();

  constructor(loaded: LoadedTasks, scope: ThreadScope) {
    this.#loaded = loaded;
    this.#scope = scope;
  }

  /** Tells all functions of a failure. Resolves when they have ended, or their time is over. Never rejects. */
  async run(failure: FailureNotice): Promise<void> {
    const running = this.#runAll(failure);
    this.#running.add(running);
    await running.finally(() => this.#running.delete(running));
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #runAll({ message, key, error }: FailureNotice): Promise<void> {
    const { task, attempt, args } = new Envelope(message);
    const known = this.#loaded.tasks.get(task) ?? this.#loaded.fallback;
    const timeoutMs = (known && definitionOf(known).policies.timeoutMs) ?? DEFAULT_TIMEOUT_MS;
    const classes: readonly ErrorClass[] = this.#loaded.errors;
    for (const hook of this.#loaded.onFailed ?? []) {
      // Decoded again for each function, because the one before may have changed it.
      const failed = {
        task,
        key,
        args: decoded(() => decodeValue(args)),
        error: decoded(() => decodeError(error, classes)),
      };
      await this.#runOne(hook, { ...failed, attempt }, timeoutMs);
    }
  }

  async #runOne(hook: OnFailed, failed: FailedExecution, timeoutMs: number): Promise<void> {
    const { task, key, attempt } = failed;
    const logger = this.#scope.logger({ task, key, attempt });
    const aborting = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const end = () => {
        const error = new TimeoutError(`onFailed took longer than ${timeoutMs} ms`);
        aborting.abort(error);
        reject(error);
      };
      timer = setTimeout(end, Math.min(timeoutMs, LONGEST_TIMER_MS));
    });
    try {
      const scope = this.#scope;
      const context: FailedContext = {
        worker: scope.worker,
        logger,
        signal: aborting.signal,
        get docket() {
          return scope.docket(); // opened by the first one that uses it
        },
      };
      await Promise.race([runInCleanContext(async () => await hook(failed, context)), late]);
    } catch (error) {
      logger.error({ error: lineOf(error) }, `onFailed failed for ${task}`);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Returns a decoded value; `undefined` when it cannot be decoded. */
function decoded(decode: () => unknown): unknown {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
