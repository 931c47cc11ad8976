/** Follows an execution to its end, by push alone. */
import type { Redis } from 'ioredis';
import type { Docket } from '../client/docket.js';
import { ExecutionSupersededError } from '../core/errors.js';
import { isTerminal } from '../core/states.js';
import type { StateEvent } from '../tasks/events.js';
import type { Execution } from '../tasks/execution.js';
import { EXIT, EXIT_OF_STATE } from './exit-codes.js';
import { viewFor, type WatchView } from './watch-view.js';

/**
 * Shows every change of an execution, and answers with the exit code that says how it ended. A signal ends the watch, not
 * the execution; a second one ends the process at once.
 * @throws ExecutionSupersededError when a newer execution took its key
 * @throws ExecutionNotFoundError when nothing is known of it any more
 */
export async function follow(docket: Docket, execution: Execution<unknown>, isJson: boolean): Promise<number> {
  const redis = await docket.redis;
  const events = execution.subscribe()[Symbol.asyncIterator]();
  let interruption: number | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    interruption = signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
    void events.return?.();
  };
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const view = viewFor(execution.key, execution.task, isJson);
  const link = tellOfLink(redis, view);
  const teller = new StateTeller(execution, view);
  let ending: number | null = null;
  try {
    let last: StateEvent | null = null;
    let hasProgress = false;
    for (let next = await events.next(); !next.done; next = await events.next()) {
      const event = next.value;
      if (event.type === 'progress') {
        hasProgress ||= event.updatedAt !== null;
        if (hasProgress) view.tell(event); // before, nobody has reported any
      } else if (isTerminal(event.state)) last = event;
      else teller.tell(event);
    }
    // Of one that had ended before, the progress comes after the state.
    if (last) teller.tell(last);
    if (last && isTerminal(last.state)) ending = EXIT_OF_STATE[last.state];
  } finally {
    teller.close();
    link.close();
    view.close();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
  const code = ending ?? interruption;
  if (code === null) throw new ExecutionSupersededError(execution.key);
  return code;
}

/**
 * Tells the states, and for what limit it waits while it is queued. No event says that: it is in the record, which the
 * subscription reads at its start and every few seconds. That is looked at here, and no command is sent for it.
 */
class StateTeller {
  readonly #execution: Execution<unknown>;
  readonly #view: WatchView;
  readonly #timer: NodeJS.Timeout;
  #state: StateEvent | null = null;
  #waitingFor: string | null = null;

  constructor(execution: Execution<unknown>, view: WatchView) {
    this.#execution = execution;
    this.#view = view;
    this.#timer = setInterval(() => {
      if (this.#state && this.#readWaitingFor(this.#state) !== this.#waitingFor) this.tell(this.#state);
    }, LOOK_EVERY_MS);
  }

  tell(event: StateEvent): void {
    this.#state = event;
    this.#waitingFor = this.#readWaitingFor(event);
    this.#view.tell({ ...event, waitingFor: this.#waitingFor });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** The reading may be older than the event. */
  #readWaitingFor({ state, attempt }: StateEvent): string | null {
    const { state: readState, attempt: readAttempt, waitingFor } = this.#execution;
    return state === 'queued' && readState === state && readAttempt === attempt ? waitingFor : null;
  }
}

const LOOK_EVERY_MS = 250;

/** Says when Redis is gone, and when it is back: meanwhile nothing is heard of the execution. */
function tellOfLink(redis: Redis, view: WatchView): { close(): void } {
  let isLost = false;
  const onClose = () => {
    if (!isLost) view.warn('the connection to Redis is lost, trying again');
    isLost = true;
  };
  const onReady = () => {
    if (isLost) view.warn('the connection to Redis is back');
    isLost = false;
  };
  redis.on('close', onClose).on('ready', onReady);
  return { close: () => redis.off('close', onClose).off('ready', onReady) };
}
