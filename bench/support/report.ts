/** The findings of a scenario: tables for people, and the same values for programs. */
import { type Spread, spread } from './stats.js';

export interface Report {
  readonly scenario: string;
  readonly tables: readonly Table[];
  readonly verdicts: readonly Verdict[];
  /** Whole distributions, for plots. */
  readonly distributions?: readonly Distribution[];
  /** What the audits found: lost, repeated or left-over work. Any problem fails the bench. */
  readonly problems: readonly string[];
}

export interface Table {
  readonly title: string;
  readonly rows: readonly Row[];
  /** What a reader needs to know to judge the figures. */
  readonly notes?: readonly string[];
}

/** The values of a row by column, whose name has the unit; `null` where a value could not be measured. */
export type Row = Readonly<Record<string, string | number | null>>;

/** How a measured quantity is distributed, for several contenders. */
export interface Distribution {
  readonly title: string;
  readonly unit: string;
  readonly series: readonly { readonly name: string; readonly points: readonly Quantile[] }[];
}

/** A share of the values (0 to 1), and the value that this share does not exceed. */
export type Quantile = readonly [share: number, value: number];

/** A measured ratio beside its target. */
export interface Verdict {
  readonly question: string;
  readonly ratio: Spread;
  readonly atLeast: number;
  readonly met: boolean;
}

/**
 * Compares two contenders round by round, and judges the median of the ratios: the machine drifts more from round to round
 * than within a round.
 */
export function compare(
  question: string,
  ours: readonly number[],
  theirs: readonly number[],
  atLeast: number,
): Verdict {
  const ratio = spread(ours.map((value, round) => value / theirs[round]!));
  return { question, ratio, atLeast, met: ratio.median >= atLeast };
}
