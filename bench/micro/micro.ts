/** A micro bench: one function of docket, called over and over. */

export interface Micro {
  readonly name: string;
  /** How many items one call handles; the figures are for each item. */
  readonly items: number;
  /** Prepares one call, when the one before has used up what it needs. Its time does not count. */
  readonly prepare?: () => Promise<unknown>;
  readonly run: () => unknown;
}

/** Arguments as most tasks have them. */
export const ARGUMENTS = {
  to: 'ada@example.com',
  subject: 'Your order has been sent',
  attempt: 3,
  urgent: false,
  tags: ['order', 'mail'],
};
