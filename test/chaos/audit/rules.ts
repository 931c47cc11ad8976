/** What the auditor says when a run has broken a promise. */

/** The promises, by the numbers under which violations are reported. */
export const RULES = {
  1: 'an add that was acknowledged is never lost',
  2: 'an execution runs once, and once more at most for each fault that hit it',
  3: 'of several runs of one execution, one counts',
  4: 'no more permits of a limit are taken than it has, and none is left',
  5: 'nothing starts before it is due, or after it was stopped',
  6: 'nothing is left in Redis when all is done',
  7: 'the backlog drains after the last fault, and a worker is ready exactly when it can work',
  8: 'no fault uses up an attempt, and no worker ends by itself',
  9: 'an execution that has ended stays as it ended',
  10: 'memory, handles and threads of a worker do not grow',
  11: 'an add that fails says whether it may have been written',
  12: 'a message that cannot be read is kept with the reason, and no other is',
  13: 'a run shows something: each fault did what it is named for, and each promise was put to the test',
} as const;

export type Rule = keyof typeof RULES;

export interface Violation {
  readonly rule: Rule;
  /** What broke it, in a sentence, with the names that are in the history. */
  readonly what: string;
}
