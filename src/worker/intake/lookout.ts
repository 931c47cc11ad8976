/**
 * Asks Redis what must not run whenever the guards may have missed it, so that entries that were read do not start in spite
 * of a cancel, a strike or a pause. The subscriber can be the only connection whose link is down.
 *
 * Owns the rule for when that is: while the link is down or silent, and after each reconnect until every guard follows
 * again. A link that goes silent is noticed after two turns of its watch, 4 s.
 */
import type { Redis } from 'ioredis';
import type { Entry } from '../../redis/entry.js';
import { Envelope } from '../../wire/envelope.js';
import type { WorkerContext } from '../context.js';
import { keyOf } from '../delivery.js';
import type { CancelListener } from './cancel-listener.js';
import type { PauseGuard } from './pause-guard.js';
import type { StrikeGuard } from './strike-guard.js';

export interface LookoutOptions extends Pick<WorkerContext, 'subscriber'> {
  readonly strikeGuard: Pick<StrikeGuard, 'isFollowing' | 'lookUp'>;
  readonly pauseGuard: Pick<PauseGuard, 'isFollowing' | 'lookUp'>;
  readonly cancelListener: Pick<CancelListener, 'isFollowing' | 'lookUp'>;
}

export class Lookout {
  readonly #options: LookoutOptions;
  readonly #subscriber: Redis;
  #isSilent = false;
  #interruptions = 0;

  constructor(options: LookoutOptions) {
    this.#options = options;
    this.#subscriber = options.subscriber;
    this.#subscriber.on('heard', this.#onHeard).on('ready', this.#onHeard);
    this.#subscriber.on('silent', this.#onSilent).on('close', this.#onClose);
  }

  /** Stops watching the link, which other partitions may share. */
  close(): void {
    this.#subscriber.off('heard', this.#onHeard).off('ready', this.#onHeard);
    this.#subscriber.off('silent', this.#onSilent).off('close', this.#onClose);
  }

  readonly #onHeard = () => {
    this.#isSilent = false;
  };

  readonly #onSilent = () => {
    this.#isSilent = true;
    this.#interruptions += 1;
  };

  readonly #onClose = () => {
    this.#interruptions += 1;
  };

  /** How often the guards may have begun to miss something. */
  get interruptions(): number {
    return this.#interruptions;
  }

  /** Whether the guards know of everything that must not run. */
  get isHearing(): boolean {
    const { strikeGuard, pauseGuard, cancelListener } = this.#options;
    return !this.#isSilent && strikeGuard.isFollowing && pauseGuard.isFollowing && cancelListener.isFollowing;
  }

  /**
   * Has the guards look up what they may have missed about these entries. Rejects when a command fails.
   * @param mayBeClaimed - whether some may be claimed already: the cancel of such an execution only asks it to stop
   */
  async lookUp(entries: readonly Entry[], mayBeClaimed: boolean): Promise<void> {
    const { strikeGuard, pauseGuard, cancelListener } = this.#options;
    const claimed = mayBeClaimed ? entries : [];
    await Promise.all([strikeGuard.lookUp(), pauseGuard.lookUp(), cancelListener.lookUp(idsOf(entries), claimed)]);
  }
}

/** Returns the ids of the executions without a record. An entry that cannot be read does not run anyway. */
function idsOf(entries: readonly Entry[]): string[] {
  const ids: string[] = [];
  for (const { record, token, message } of entries) {
    if (record !== null || message === null) continue;
    try {
      ids.push(keyOf({ record, token, envelope: new Envelope(message) }));
    } catch {}
  }
  return ids;
}
