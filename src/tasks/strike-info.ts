/** What `docket.strikes()` returns. */
import type { StrikeOperand, StrikeOperator } from '../wire/strikes.js';

/** A strike in effect. `docket.restore(task, parameter, operator, value)` takes it back. */
export interface StrikeInfo {
  /** Name of the task; `null` for all tasks. */
  readonly task: string | null;
  /** Name of the argument; `null` when the whole task is struck. */
  readonly parameter: string | null;
  readonly operator: StrikeOperator | null;
  /** What the argument is compared with; absent without a parameter. */
  readonly value?: StrikeOperand;
  /** The strike in words. */
  readonly description: string;
  /** When it was made. */
  readonly since: Date;
}
