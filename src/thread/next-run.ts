/** Collects the requests of a perpetual task's body for its next run, until the attempt ends. */

import { type Due, dueAfter, dueAt } from '../core/due.js';
import { type Duration, toMs } from '../core/duration.js';
import { InvalidOptionError, PayloadTooLargeError } from '../core/errors.js';
import type { PerpetualControl } from '../tasks/context.js';
import type { NextRunOverride } from '../tasks/next-run.js';
import type { PerpetualData } from '../tasks/policies.js';
import { encodeValue } from '../wire/codec.js';

export class NextRunRequest {
  readonly #policy: PerpetualData;
  readonly #task: string;
  readonly #maxPayloadBytes: number;
  #everyMs: number | undefined;
  #due: Due | undefined;
  #args: Uint8Array | undefined;
  #isEnded = false;
  /** The value of `ctx.perpetual`. Its functions work when destructured. */
  readonly control: PerpetualControl['perpetual'];

  constructor(policy: PerpetualData, task: string, maxPayloadBytes: number) {
    this.#policy = policy;
    this.#task = task;
    this.#maxPayloadBytes = maxPayloadBytes;
    const policyMs = () => this.#policyMs();
    const everyMs = () => this.#everyMs;
    const setEvery = (every: Duration) => this.#setEvery(every);
    this.control = {
      get every(): number {
        return everyMs() ?? policyMs();
      },
      set every(every: Duration) {
        setEvery(every);
      },
      perpetuate: (args) => this.#setArguments(args),
      after: (delay) => {
        this.#due = dueAfter(delay, 'perpetual.after');
      },
      at: (when) => {
        this.#due = dueAt(when, 'perpetual.at');
      },
      cancel: () => {
        this.#isEnded = true;
      },
    };
  }

  /** The deviations from the policy; `null` when the body requested none, so that the policy alone decides. */
  get override(): NextRunOverride | null {
    if (this.#isEnded) return { isEnded: true };
    if (this.#everyMs === undefined && this.#due === undefined && this.#args === undefined) return null;
    return {
      ...(this.#everyMs !== undefined && { everyMs: this.#everyMs }),
      ...(this.#due !== undefined && { due: this.#due }),
      ...(this.#args !== undefined && { args: this.#args }),
    };
  }

  #policyMs(): number {
    if (this.#policy.kind === 'perpetual') return this.#policy.everyMs;
    const problem = `task '${this.#task}' follows a cron expression: use after() or at() for its next run`;
    throw new InvalidOptionError('perpetual.every', problem);
  }

  #setEvery(every: Duration): void {
    this.#policyMs();
    this.#everyMs = toMs(every, 'perpetual.every');
  }

  /** Encodes the arguments, and copies the bytes, because the encoder's memory is used again. */
  #setArguments(args: unknown): void {
    if (typeof args !== 'object' || args === null || Array.isArray(args)) {
      throw new InvalidOptionError('perpetual.perpetuate', 'expected one object with named fields');
    }
    const bytes = new Uint8Array(encodeValue(args, 'args'));
    if (bytes.length > this.#maxPayloadBytes) {
      throw new PayloadTooLargeError(this.#task, bytes.length, this.#maxPayloadBytes);
    }
    this.#args = bytes;
  }
}
