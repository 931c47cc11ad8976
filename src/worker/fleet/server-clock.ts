/** The server's clock as far as this process knows it: what is due by the wall clock is due by that one. */
export class ServerClock {
  #aheadMs = 0;

  /** Takes a time the server has just told. */
  learn(serverMs: number): void {
    this.#aheadMs = serverMs - Date.now();
  }

  /** Milliseconds; behind the server by the way of the last answer. */
  nowMs(): number {
    return Date.now() + this.#aheadMs;
  }
}
