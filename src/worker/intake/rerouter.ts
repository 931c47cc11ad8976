/**
 * Reroutes deliveries that this worker cannot run: it lacks the task, or the message is of a newer version. During
 * a rolling deploy, another worker soon can. If a live worker announces the task, the delivery waits for 1 s at most, so
 * that it soon meets that worker. Else it waits for 10 s and longer, until a worker that has the task recalls it.
 *
 * Owns these deliveries while it asks Redis who announces their tasks.
 */
import { assertNever } from '../../core/assert.js';
import { isAnnounced } from '../../redis/fleet-store.js';
import type { WorkerContext } from '../context.js';
import { type Delivery, keyOf } from '../delivery.js';
import type { FloodLog } from '../flood-log.js';
import type { Reroute } from '../settle/settlements.js';

/** Redis serves the idle workers in turn, so a free worker that has the task is met after a few of these. */
const FIRST_ANNOUNCED_MS = 20;
const LONGEST_ANNOUNCED_MS = 1_000;
const FIRST_MS = 10_000;
const LONGEST_MS = 300_000;

export interface RerouterOptions extends Pick<WorkerContext, 'redis' | 'keys' | 'consumer' | 'logger'> {
  /** Bounds the lines about executions. */
  readonly floodLog: FloodLog;
  reroute(delivery: Delivery, how: Reroute): void;
}

/** Whether another live worker has a task; `unknown` when Redis did not say. */
type Announcement = 'announced' | 'not announced' | 'unknown';

export class Rerouter {
  readonly #options: RerouterOptions;
  readonly #asking = new Set<Delivery>();
  /** Questions by task: one serves all deliveries that wait for its answer. */
  readonly #questions = new Map<string, Promise<Announcement>>();

  constructor(options: RerouterOptions) {
    this.#options = options;
  }

  /** Deliveries that wait for an answer. Their leases must be kept. */
  get deliveries(): ReadonlySet<Delivery> {
    return this.#asking;
  }

  /** Resolves when nothing waits for an answer. */
  async idle(): Promise<void> {
    while (this.#asking.size > 0) await Promise.allSettled(this.#questions.values());
  }

  /**
   * Never rejects: when the question fails, the delivery waits as if nobody announced its task.
   * @param isAdmitted - whether it was claimed, and a thread refused it
   */
  async add(delivery: Delivery, isAdmitted = false): Promise<void> {
    const { task, version, isReadable } = delivery.envelope;
    const { reroutes } = delivery;
    this.#asking.add(delivery);
    // Other workers may announce the task and still not read a newer message.
    const announcement = isReadable ? await this.#announcedElsewhere(task) : null;
    this.#asking.delete(delivery);
    const delayMs = announcement === 'announced' ? announcedDelayMs(reroutes) : delayMsAfter(reroutes);
    const fields = { task, key: keyOf(delivery), reroutes };
    const what = `${task} is rerouted for ${delayMs < 1_000 ? `${delayMs} ms` : `${delayMs / 1_000} s`}`;
    const { level, reason } = explain(announcement, version);
    this.#options.floodLog.log({ level, what: 'was rerouted' }, task, () =>
      this.#options.logger[level](fields, `${what}: ${reason}`),
    );
    // If its own thread refused it, this worker would recall it again and again.
    const isRecallable = !isAdmitted && announcement !== null && announcement !== 'announced';
    this.#options.reroute(delivery, { delayMs, isAdmitted, isRecallable });
  }

  #announcedElsewhere(task: string): Promise<Announcement> {
    const { redis, keys, consumer } = this.#options;
    const asked = this.#questions.get(task);
    if (asked) return asked;
    const question = isAnnounced(redis, keys, task, consumer)
      .then(
        (isFound): Announcement => (isFound ? 'announced' : 'not announced'),
        (): Announcement => 'unknown',
      )
      .finally(() => this.#questions.delete(task));
    this.#questions.set(task, question);
    return question;
  }
}

function explain(
  announcement: Announcement | null,
  version: number,
): { readonly level: 'info' | 'warn'; readonly reason: string } {
  switch (announcement) {
    case null:
      return { level: 'warn', reason: `its message is of a newer version (${version})` };
    case 'announced':
      return { level: 'info', reason: 'no such task is loaded here, but another live worker has it' };
    case 'not announced':
      return { level: 'warn', reason: 'no such task is loaded here, and no live worker has it' };
    case 'unknown':
      return { level: 'warn', reason: 'no such task is loaded here' };
    default:
      return assertNever(announcement);
  }
}

/** Random, because otherwise it would come back in step with the reads of idle workers, to the same worker each time. */
function announcedDelayMs(reroutes: number): number {
  const longestMs = Math.min(FIRST_ANNOUNCED_MS * 2 ** reroutes, LONGEST_ANNOUNCED_MS);
  return Math.ceil(longestMs * (1 - Math.random() / 2));
}

function delayMsAfter(reroutes: number): number {
  return Math.min(FIRST_MS * 2 ** reroutes, LONGEST_MS);
}
