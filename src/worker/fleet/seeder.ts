/**
 * Starts the chains of automatic tasks, at the start of the worker and every minute, so that a lost chain starts anew.
 * Where Redis has lost the streams, the chains are gone, too, and are started at once. It names the layout as a move
 * does, so that a worker which has not heard of a change starts no chain in a partition that was removed.
 */
import { onAbort } from '../../core/abort.js';
import { monotonicMs } from '../../core/clock.js';
import type { Priority } from '../../core/priority.js';
import { jittered, pause, Service } from '../../core/service.js';
import { type Seed, type Seeded, seedChains } from '../../redis/chain-store.js';
import { serverTimeMs } from '../../redis/time.js';
import { chainText } from '../../tasks/chain.js';
import { nextCronMs } from '../../tasks/cron.js';
import type { TaskManifest } from '../../tasks/manifest.js';
import { fingerprintOf } from '../../tasks/next-run.js';
import type { PerpetualData } from '../../tasks/policies.js';
import { encoderFor } from '../../wire/codec.js';
import { encodeEnvelope } from '../../wire/envelope.js';
import type { WorkerContext } from '../context.js';
import { logRetry } from '../log-retry.js';

const EVERY_MS = 60_000;
/** After a failure at the start: a chain should not wait a minute for a link that is back in a second. */
const RETRY_AFTER_MS = 1_000;

export interface SeederOptions extends Pick<WorkerContext, 'redis' | 'keys' | 'streams' | 'clock' | 'logger'> {
  readonly executionTtlMs: number;
  /** Returns the tasks that this worker can run. */
  tasks(): readonly TaskManifest[];
  /** Returns those of these tasks whose chain is in another partition: its next run moves here. */
  runningElsewhere(tasks: readonly string[]): Promise<ReadonlySet<string>>;
  /** The version of the strikes at which the layout had this partition; `null` when it has this partition for ever. */
  readonly ownVersion: {
    /** Rejects when the layout does not have this partition, or is being changed. */
    get(): Promise<string | null>;
    /** Forgets it, because it is no longer current. */
    forget(): void;
  };
}

export class Seeder extends Service {
  readonly #options: SeederOptions;
  #woken = new AbortController();

  constructor(options: SeederOptions) {
    super();
    this.#options = options;
    options.streams.onLost(() => this.#woken.abort());
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { redis, clock, logger, tasks } = this.#options;
    const isAutomatic = ({ policies }: TaskManifest) => policies.perpetual?.isAutomatic;
    let isStarting = true;
    while (!signal.aborted) {
      try {
        if (!tasks().some(isAutomatic)) {
          await this.#pause(jittered(EVERY_MS), signal); // a deploy in place may bring one
          continue;
        }
        const askedMs = monotonicMs();
        clock.learn(await serverTimeMs(redis), askedMs); // the first heartbeat may not have been answered yet
        const automatic = tasks().filter(isAutomatic);
        const elsewhere = await this.#options.runningElsewhere(automatic.map(({ name }) => name));
        const seeds = automatic
          .filter(({ name }) => !elsewhere.has(name))
          .map((task) => this.#seedOf(task.name, task.policies.perpetual!, task.policies.priority));
        const { tasks: seeded, errors } = await this.#seed(seeds, isStarting);
        if (seeded.length > 0) logger.info({ tasks: seeded }, 'automatic tasks were scheduled');
        if (errors.length > 0)
          logger.error({ errors }, 'automatic tasks whose records cannot be used were not scheduled');
        isStarting = false;
      } catch (error) {
        if (signal.aborted) return;
        logRetry(logger, error, 'automatic tasks could not be scheduled');
      }
      await this.#pause(isStarting ? RETRY_AFTER_MS : jittered(EVERY_MS), signal);
    }
  }

  /** Waits, unless the streams are lost meanwhile or were since the last wait. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const woken = this.#woken;
    const forget = onAbort(signal, () => woken.abort());
    await pause(ms, woken.signal);
    forget();
    if (woken.signal.aborted) this.#woken = new AbortController();
  }

  async #seed(seeds: readonly Seed[], isStarting: boolean): Promise<Seeded> {
    const { redis, keys, ownVersion } = this.#options;
    if (seeds.length === 0) return { tasks: [], errors: [] };
    const seed = async () => await seedChains(redis, keys, seeds, { isStarting, strikes: await ownVersion.get() });
    const seeded = await seed();
    if (seeded !== null) return seeded;
    ownVersion.forget(); // something was struck, or the partitions have changed
    const seededAnew = await seed();
    if (seededAnew === null) throw new Error('the strikes or the partitions have just changed again');
    return seededAnew;
  }

  #seedOf(task: string, policy: PerpetualData, priority: Priority | undefined): Seed {
    const { clock, executionTtlMs } = this.#options;
    const isCron = policy.kind === 'cron';
    return {
      task,
      fingerprint: fingerprintOf(policy),
      dueMs: isCron ? nextCronMs(policy.expression, policy.timezone, clock.nowMs()) : null,
      retimedInMs: isCron ? null : policy.everyMs,
      message: encodeEnvelope(encoderFor(NO_ARGUMENTS, 'args'), task, executionTtlMs, null, NO_ARGUMENTS),
      chain: chainText({ perpetual: policy })!,
      priority,
    };
  }
}

const NO_ARGUMENTS = {};
