/** What a test learns about an execution that was added. */

/** An execution that was added, or put in the place of another one. */
export interface AddedExecution<A = unknown> {
  readonly task: string;
  /** Its arguments as a worker decodes them: a copy, which later changes do not reach. */
  readonly args: A;
  /** Its key, or its generated id. */
  readonly key: string;
  /** When it is due. */
  readonly when: Date;
  /** When it was added, on the clock of the docket; `null` when it is not known. */
  readonly addedAt: Date | null;
}
