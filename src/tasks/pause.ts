/** What `pause()` and `pauses()` of a docket take and return. */

/** Options of `docket.pause()`. */
export interface PauseOptions {
  /**
   * Why it is paused: text of at most 200 characters, without control characters. Pauses with different reasons are
   * independent of each other: a task is paused until all of them are ended.
   * @default 'manual'
   */
  reason?: string;
}

/** Options of `docket.resume()`. */
export interface ResumeOptions {
  /**
   * Ends only the pause with this reason.
   * @default all reasons
   */
  reason?: string;
}

/** A pause. */
export interface Pause {
  /** Name of the task; `null` for the whole docket. */
  readonly task: string | null;
  readonly reason: string;
  /** When it was made, on the clock of the Redis server. */
  readonly since: Date;
}
