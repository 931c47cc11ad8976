/**
 * Keeps struck calls from being written, for one producer.
 *
 * Producers do not follow the list of strikes. Each batch of adds names the version of the list it was checked against.
 * When that is not the latest, the script that would write the batch refuses; the producer then loads the list, and sends
 * again only what is not struck. So while nothing is struck a producer needs no further connection and no further command (each
 * script does one HGET of a missing field), and the first add does not wait for a load. Once `strike()` has resolved, no
 * producer anywhere writes a struck call. The server confirms struck calls in the same way, so a restore holds at once too.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { RedisUnavailableError } from '../core/errors.js';
import type { StrikeSnapshot } from '../redis/strike-store.js';
import { type Strike, Strikes, struckBy } from '../wire/strikes.js';

/** How often a batch is checked and sent again while strikes change all the time: for some seconds. */
const MOST_TRIES = 100;
/** The first tries follow at once. The pause before each further one is random, so that it does not keep step with the changes. */
const TRIES_AT_ONCE = 2;
const LONGEST_PAUSE_MS = 50;

/** A call that was not written because it is struck. */
export class StruckCall {
  /** Why, as a line of text. */
  readonly reason: string;

  constructor(strike: Strike) {
    this.reason = struckBy(strike);
  }
}

/** Warns of a strike that cannot be compared with a value it met. A producer has no log, so the process warns. */
export function warnOfStrike(problem: string): void {
  process.emitWarning(problem, { type: 'DocketWarning', code: 'DOCKET_STRIKE_PASSED_OVER' });
}

export class StrikeFilter {
  readonly #strikes = new Strikes(warnOfStrike);
  readonly #load: () => Promise<StrikeSnapshot>;
  #version = '';
  #loading: Promise<void> | null = null;

  /** `load` reads the list from Redis. */
  constructor(load: () => Promise<StrikeSnapshot>) {
    this.#load = load;
  }

  /**
   * Writes the calls of a batch that are not struck; returns the results in the order of the batch.
   * @param write - writes calls that were checked against a version of the list, or returns `null` when that is outdated;
   *   it is called with no calls when all are struck
   * @throws RedisUnavailableError when the strikes change so often that no check holds. Nothing was written
   * @throws the errors of `write` and `load`
   */
  async place<C extends { readonly task: string; readonly args: object }, P>(
    batch: readonly C[],
    write: (calls: readonly C[], version: string) => Promise<readonly P[] | null>,
  ): Promise<readonly (P | StruckCall)[]> {
    for (let tries = 1; tries <= MOST_TRIES; tries++) {
      const version = this.#version;
      const struck = this.#strikes.size > 0 ? batch.map((call) => this.#struckCall(call)) : null;
      const calls = struck ? batch.filter((_, i) => struck[i] === null) : batch;
      const placed = await write(calls, version);
      if (placed) return struck ? mergeInto(struck, placed) : placed;
      // Before the list is loaded, since what was loaded soon changes again.
      if (tries > TRIES_AT_ONCE) await delay(Math.random() * Math.min(tries, LONGEST_PAUSE_MS));
      await this.#reload();
    }
    const problem = `the strikes of the docket have changed ${MOST_TRIES} times while it was checked against them`;
    throw new RedisUnavailableError(`nothing was added, because ${problem}: try again once they change less often`);
  }

  #struckCall({ task, args }: { readonly task: string; readonly args: object }): StruckCall | null {
    const strike = this.#strikes.findFor(task, args);
    return strike && new StruckCall(strike);
  }

  #reload(): Promise<void> {
    this.#loading ??= this.#load()
      .then(({ strikes, version }) => {
        this.#strikes.replaceAll(strikes);
        this.#version = version;
      })
      .finally(() => {
        this.#loading = null;
      });
    return this.#loading;
  }
}

/** Fills the gaps of `struck` with the placed calls, in order. */
function mergeInto<P>(struck: readonly (StruckCall | null)[], placed: readonly P[]): (P | StruckCall)[] {
  let next = 0;
  return struck.map((call) => call ?? placed[next++]!);
}
