/**
 * Knows which tasks are paused, and whether the docket is. It is asked about each execution that is read, before it is counted or
 * claimed, and again before it starts. A new pause also takes back unstarted shipments. Running attempts continue.
 *
 * Owns this worker's copy of the pauses: loaded before the worker reads anything, and kept up to date by push. While it is
 * outdated, an execution may still start, or be given back in vain. No execution waits for a pause that has ended, because the
 * script that would park it looks at the pauses in Redis.
 */
import { deferred } from '../../core/deferred.js';
import { jittered, pause, Service } from '../../core/service.js';
import { type ListCopy, ListFollower } from '../../redis/list-follower.js';
import { type PauseTerms, pauseSource } from '../../redis/pause-store.js';
import type { WorkerContext } from '../context.js';
import type { Delivery } from '../delivery.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import { logRetry } from '../log-retry.js';

/**
 * How often the pauses are looked up while there are any. A resume that was not heard would not be noticed otherwise: nothing is
 * read while the whole docket is paused, and executions of a task would be given back and read again for ever.
 */
const LOOK_UP_MS = 5_000;

export interface PauseGuardOptions extends Pick<WorkerContext, 'redis' | 'subscriber' | 'keys' | 'logger'> {
  readonly dispatcher: Pick<Dispatcher, 'takeBackUnstarted'>;
  /** Gives back deliveries that were taken back, in the order in which they would have started. */
  onTakenBack(deliveries: readonly Delivery[]): void;
  /** Called when the whole docket is no longer paused. */
  onDocketResumed(): void;
}

export class PauseGuard extends Service {
  readonly #options: PauseGuardOptions;
  readonly #pauses = new Pauses(() => this.#onChange());
  #follower: ListFollower<PauseTerms> | null = null;
  readonly #ready = deferred();
  /** Resolves when all earlier pauses are known, or when the service has stopped. */
  readonly ready = this.#ready.promise;
  #isUpdateScheduled = false;
  /** What is paused, as it was logged last. */
  #logged = '';
  /** Whether the docket was paused since the last update, perhaps for a moment. */
  #wasDocketPaused = false;

  constructor(options: PauseGuardOptions) {
    super();
    this.#options = options;
  }

  /** The pauses in effect, with their reasons. */
  get list(): readonly PauseTerms[] {
    return this.#pauses.list;
  }

  /** The number of pauses in effect. */
  get size(): number {
    return this.#pauses.size;
  }

  /** Whether the whole docket is paused, so that nothing is read. */
  get isDocketPaused(): boolean {
    return this.#pauses.isDocketPaused;
  }

  /** The names of the tasks that are paused themselves. */
  get tasks(): ReadonlySet<string> {
    return this.#pauses.tasks;
  }

  /** Whether it receives every change, as long as the link is not silent. */
  get isFollowing(): boolean {
    return this.#follower?.isFollowing ?? false;
  }

  /** Whether executions of a task must not start: it is paused itself, or the whole docket is. */
  isPaused(task: string): boolean {
    return this.#pauses.size > 0 && (this.#pauses.isDocketPaused || this.#pauses.tasks.has(task));
  }

  /** Asks Redis for changes that it may have missed. Rejects when the command fails. */
  async lookUp(): Promise<void> {
    await this.#follower?.lookUp();
  }

  /**
   * Acts on changes at once that would be acted on at the end of the turn. It is called before deliveries are looked at
   * that may have to be given back: those that were read before them, and are in the dispatcher, go first.
   */
  actOnChanges(): void {
    if (!this.#isUpdateScheduled) return;
    this.#isUpdateScheduled = false;
    this.#log();
    this.takeBack();
    if (!this.#wasDocketPaused || this.isDocketPaused) return;
    this.#wasDocketPaused = false;
    this.#options.onDocketResumed();
  }

  /** Takes back the deliveries that are paused and have not started. */
  takeBack(): void {
    if (this.size === 0) return;
    const { dispatcher, onTakenBack } = this.#options;
    const taken = dispatcher.takeBackUnstarted(({ envelope }) => this.isPaused(envelope.task));
    if (taken.length > 0) onTakenBack(taken);
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { redis, subscriber, keys, logger } = this.#options;
    const follower = new ListFollower({
      source: pauseSource(redis, keys),
      copy: this.#pauses,
      subscriber,
      onFailure: (error) => logRetry(logger, error, 'pauses could not be loaded or followed'),
    });
    this.#follower = follower;
    void follower.open().then(this.#ready.resolve);
    while (!signal.aborted) {
      await pause(jittered(LOOK_UP_MS), signal);
      if (signal.aborted || this.size === 0) continue;
      await follower.lookUp().catch((error) => logRetry(logger, error, 'pauses could not be looked up'));
    }
    follower.close();
  }

  /** Acts once on all changes that come in one turn. */
  #onChange(): void {
    this.#wasDocketPaused ||= this.isDocketPaused;
    if (this.#isUpdateScheduled) return;
    this.#isUpdateScheduled = true;
    setImmediate(() => this.actOnChanges());
  }

  #log(): void {
    const text = describePauses(this.list);
    if (text === this.#logged) return;
    this.#logged = text;
    const { logger } = this.#options;
    if (text === '') logger.info({}, 'nothing is paused any more');
    else logger.info({ paused: this.list.slice(0, MAX_NAMED) }, `paused, so nothing more of it starts: ${text}`);
  }
}

/** Describes pauses as a line of text: `the docket (deploy), charge (manual)`. */
export function describePauses(pauses: readonly PauseTerms[]): string {
  const named = pauses.slice(0, MAX_NAMED).map(({ task, reason }) => `${task ?? 'the docket'} (${reason})`);
  const more = pauses.length - named.length;
  return named.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

const MAX_NAMED = 10;

/** A copy of the pauses. */
class Pauses implements ListCopy<PauseTerms> {
  readonly #onChange: () => void;
  #list: readonly PauseTerms[] = [];
  #isDocketPaused = false;
  #tasks: ReadonlySet<string> = new Set();

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get list(): readonly PauseTerms[] {
    return this.#list;
  }

  get size(): number {
    return this.#list.length;
  }

  get isDocketPaused(): boolean {
    return this.#isDocketPaused;
  }

  get tasks(): ReadonlySet<string> {
    return this.#tasks;
  }

  add(pause: PauseTerms): void {
    this.replaceAll([...this.#list.filter((one) => !isSame(one, pause)), pause]);
  }

  delete(pause: PauseTerms): void {
    this.replaceAll(this.#list.filter((one) => !isSame(one, pause)));
  }

  replaceAll(pauses: readonly PauseTerms[]): void {
    this.#list = pauses;
    this.#isDocketPaused = pauses.some(({ task }) => task === null);
    this.#tasks = new Set(pauses.flatMap(({ task }) => task ?? []));
    this.#onChange();
  }
}

function isSame(a: PauseTerms, b: PauseTerms): boolean {
  return a.task === b.task && a.reason === b.reason;
}
