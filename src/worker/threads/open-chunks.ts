/** The chunks that a thread was given and that are not over, each with a number and a promise for its end. */
import { type OutcomeBatch, OutcomeCollector } from '../../channel/protocol.js';

interface OpenChunk {
  readonly resolve: (rest: OutcomeBatch) => void;
  readonly reject: (error: unknown) => void;
}

export class OpenChunks {
  readonly #open = new Map<number, OpenChunk>();
  #next = 0;
  /** Set when the thread is gone. */
  #failure: { readonly error: unknown } | undefined;

  /** Opens a chunk and sends it. The promise resolves with the outcomes that came with its end. */
  open(send: (chunk: number) => void): Promise<OutcomeBatch> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure.error);
      const chunk = this.#next++;
      this.#open.set(chunk, { resolve, reject });
      send(chunk);
    });
  }

  /**
   * Ends chunks, the first of them with the outcomes that came with their end. Returns false when none of them is open, so that
   * nobody gets the outcomes.
   */
  end(chunks: readonly number[], outcomes: OutcomeBatch): boolean {
    let rest: OutcomeBatch | undefined;
    for (const chunk of chunks) {
      const open = this.#open.get(chunk);
      if (!open) continue;
      this.#open.delete(chunk);
      open.resolve(rest ?? outcomes);
      rest ??= new OutcomeCollector().take();
    }
    return rest !== undefined;
  }

  /** Fails all chunks that are open, and all later ones, because their thread is gone. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const { reject } of this.#open.values()) reject(error);
    this.#open.clear();
  }
}
