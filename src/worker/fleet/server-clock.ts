/** The server's clock as far as this process knows it. Due times are compared with that clock, not with the local one. */
export class ServerClock {
  #aheadMs = 0;

  /** Takes a time that the server has just sent. */
  learn(serverMs: number): void {
    this.#aheadMs = serverMs - Date.now();
  }

  /** Returns the server's time in milliseconds; it lags by the time that the last answer took to arrive. */
  nowMs(): number {
    return Date.now() + this.#aheadMs;
  }
}
