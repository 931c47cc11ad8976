/**
 * Shows the states of an execution for `follow.ts`, and its waits: for a permit, or for a worker that has its task.
 *
 * Owns the rule that a wait is shown once. An execution that no worker can run is read and rerouted again and again, from
 * `queued` to `scheduled` and back. Only changes that matter to the user are shown.
 */
import type { Docket } from '../client/docket.js';
import type { StateEvent } from '../tasks/events.js';
import type { Execution } from '../tasks/execution.js';
import type { WatchView } from './watch-view.js';

const CHECK_EVERY_MS = 250;
/** The time between two looks at the live workers while the execution waits. */
const ASK_EVERY_MS = 5_000;

export class StateReporter {
  readonly #docket: Docket;
  readonly #execution: Execution<unknown>;
  readonly #view: WatchView;
  readonly #timer: NodeJS.Timeout;
  #state: StateEvent | null = null;
  /** The limit that was shown last. Events lack it; the handle has it from the record, which its subscription reads. */
  #waitingFor: string | null = null;
  /** Whether a live worker has the task; `null` while that does not matter or is not known. */
  #hasWorker: boolean | null = null;
  #askedMs = Number.NEGATIVE_INFINITY;
  /** The attempt and due time that were last queued. */
  #queued: string | null = null;
  /** The attempt and due time that were last shown as requeued. */
  #requeued: string | null = null;

  constructor(docket: Docket, execution: Execution<unknown>, view: WatchView) {
    this.#docket = docket;
    this.#execution = execution;
    this.#view = view;
    this.#timer = setInterval(() => this.#check(), CHECK_EVERY_MS);
  }

  report(event: StateEvent): void {
    this.#state = event;
    const wait = this.#waitOf(event);
    if (wait === null) {
      this.#hasWorker = null;
      this.#askedMs = Number.NEGATIVE_INFINITY;
    }
    if (wait === null || wait !== this.#requeued) {
      this.#show(event);
      this.#requeued = event.state === 'scheduled' ? wait : null;
    }
    if (event.state === 'queued') this.#queued = wait;
    if (wait !== null) void this.#askForWorkers();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#state = null;
  }

  #check(): void {
    if (this.#state === null) return;
    if (this.#readWaitingFor(this.#state) !== this.#waitingFor) this.#show(this.#state);
    if (this.#waitOf(this.#state) !== null) void this.#askForWorkers();
  }

  #show(event: StateEvent): void {
    this.#waitingFor = this.#readWaitingFor(event);
    this.#view.show({ ...event, waitingFor: this.#waitingFor, hasWorker: this.#hasWorker });
  }

  /** Names the attempt that is due and waits for a worker: it is queued, or was requeued; `null` in every other state. */
  #waitOf({ state, attempt, when }: StateEvent): string | null {
    const wait = `${attempt} ${when.getTime()}`;
    if (state === 'queued') return wait;
    return state === 'scheduled' && (wait === this.#queued || when.getTime() <= Date.now()) ? wait : null;
  }

  async #askForWorkers(): Promise<void> {
    if (performance.now() - this.#askedMs < ASK_EVERY_MS) return;
    this.#askedMs = performance.now();
    const workers = await this.#docket.taskWorkers(this.#execution.task).catch(() => null);
    const state = this.#state;
    if (workers === null || state === null || this.#waitOf(state) === null) return;
    const [had, has] = [this.#hasWorker, workers.length > 0];
    this.#hasWorker = has;
    if (has !== (had ?? true)) this.#show(state);
  }

  /** Ignores a record in another state or attempt: it may be older than the event. */
  #readWaitingFor({ state, attempt }: StateEvent): string | null {
    const { state: readState, attempt: readAttempt, waitingFor } = this.#execution;
    const canWait = state === 'queued' || state === 'scheduled';
    return canWait && readState === state && readAttempt === attempt ? waitingFor : null;
  }
}
