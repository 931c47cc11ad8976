/**
 * Keeps struck calls from being written, for one producer.
 *
 * Producers follow nobody: each batch of adds names the version of the strikes it was checked against, and the script that
 * would write it refuses when that is not the latest; the producer then loads the list and sends again what is not struck.
 * So a producer needs no connection and no command more while nothing is struck (one HGET of a missing field in each
 * script), the first add needs not wait for a load, and once `strike()` has resolved no producer anywhere writes a struck
 * call. What is struck is confirmed by the server in the same way, so a restore holds at once, too.
 */

import type { StrikeSnapshot } from '../redis/strike-store.js';
import { type Strike, Strikes, struckBy } from '../wire/strikes.js';

/** Where strikes change all the time, a batch is placed in the end, checked a moment ago: workers check again. */
const STALE_AT_MOST = 8;
/** Places a batch whatever is struck by now. */
const WHICHEVER = '*';

/** An add that was not written. */
export class Struck {
  /** Why, in words. */
  readonly reason: string;

  constructor(strike: Strike) {
    this.reason = struckBy(strike);
  }
}

/** Tells of strikes that cannot be compared with what they meet; nobody else would: producers have no log. */
export function warnOfStrike(problem: string): void {
  process.emitWarning(problem, { type: 'DocketWarning', code: 'DOCKET_STRIKE_PASSED_OVER' });
}

export class StrikeGate {
  readonly #strikes = new Strikes(warnOfStrike);
  readonly #load: () => Promise<StrikeSnapshot>;
  #version = '';
  #loading: Promise<void> | null = null;

  /** `load` reads the list. */
  constructor(load: () => Promise<StrikeSnapshot>) {
    this.#load = load;
  }

  /**
   * Writes what is not struck of a batch; the answers are in its order.
   * @param write - writes items that were checked against a version, `null` when that is outdated; there may be none
   * @throws what `write` and `load` throw
   */
  async place<I extends { readonly task: string; readonly args: object }, P>(
    batch: readonly I[],
    write: (items: readonly I[], version: string) => Promise<readonly P[] | null>,
  ): Promise<readonly (P | Struck)[]> {
    for (let tries = 0; ; tries++) {
      const version = tries < STALE_AT_MOST ? this.#version : WHICHEVER;
      const struck = this.#strikes.size > 0 ? batch.map((item) => this.#struckFrom(item)) : null;
      const items = struck ? batch.filter((_, i) => struck[i] === null) : batch;
      const placed = await write(items, version);
      if (placed) return struck ? mergeInto(struck, placed) : placed;
      await this.#reload();
    }
  }

  #struckFrom({ task, args }: { readonly task: string; readonly args: object }): Struck | null {
    const strike = this.#strikes.findFor(task, args);
    return strike && new Struck(strike);
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

function mergeInto<P>(struck: readonly (Struck | null)[], placed: readonly P[]): (P | Struck)[] {
  let next = 0;
  return struck.map((one) => one ?? placed[next++]!);
}
