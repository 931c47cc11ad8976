/**
 * Ends the blocking read that is in flight when a worker stops: within about a second, whatever the server does. A read that
 * went on would take what this worker requeues.
 */
import { monotonicMs } from '../../core/clock.js';
import { within } from '../../core/service.js';
import { closeConnection } from '../../redis/connection.js';
import type { WorkerContext } from '../context.js';

const ASK_EVERY_MS = 20;
/** How long the server has to end a read before the link is closed instead. */
const PATIENCE_MS = 1_000;

export type UnblockerOptions = Pick<WorkerContext, 'redis' | 'blocking'>;

export class Unblocker {
  readonly #options: UnblockerOptions;
  #clientId: number | undefined;

  constructor(options: UnblockerOptions) {
    this.#options = options;
    options.blocking.on('ready', this.#learnClientId);
    this.#learnClientId();
  }

  /**
   * Ends the read in flight; `ended` resolves when there is none. The server is asked to end it, because then all its entries
   * arrive. If the server may not, cannot or does not end it, the link is closed, and entries that do not arrive are
   * redelivered.
   */
  async endRead(ended: Promise<void>): Promise<void> {
    const giveUpMs = monotonicMs() + PATIENCE_MS;
    let isReading = true;
    const over = ended.then(() => {
      isReading = false;
    });
    // Repeated until it helps: a read that is still on its way to the server is not blocked there yet.
    while (isReading && monotonicMs() < giveUpMs && (await this.#unblock(giveUpMs))) await within(over, ASK_EVERY_MS);
    if (isReading) await closeConnection(this.#options.blocking);
    await over;
  }

  /** Asks the server to end the blocking read. Returns false when the server cannot be asked, or refuses. */
  async #unblock(giveUpMs: number): Promise<boolean> {
    const { redis, blocking } = this.#options;
    if (this.#clientId === undefined || redis.status !== 'ready' || blocking.status !== 'ready') return false;
    const asked = redis.client('UNBLOCK', this.#clientId).then(
      () => true,
      () => false,
    );
    return (await within(asked, giveUpMs - monotonicMs())) ?? false;
  }

  /** Learns the id that UNBLOCK takes. Each reconnect gets another one. */
  readonly #learnClientId = () => {
    this.#options.blocking.client('ID').then(
      (id) => {
        this.#clientId = id as number;
      },
      () => undefined,
    );
  };
}
