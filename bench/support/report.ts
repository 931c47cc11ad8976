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
  /** The first column names the row. */
  readonly rows: readonly Row[];
  /** What a reader needs to know to judge the figures. */
  readonly notes?: readonly string[];
  readonly costs?: Costs;
  readonly plot?: TablePlot;
}

/**
 * Figures that do not depend on the machine, such as commands, round trips or bytes for each task. Less is better, and
 * `--compare` fails when one of them grows. The name of a row must be the only one in the scenario.
 */
export interface Costs {
  readonly columns: readonly string[];
  /** The names of the rows, if not all: what the peers cost is not ours to judge. */
  readonly rows?: readonly string[];
}

/** How a table is drawn: the first column is x, and each other column that has numbers only is a line. */
export interface TablePlot {
  /** The name of its file, without the ending. */
  readonly name: string;
  /** What the lines show, with the unit. */
  readonly y: string;
  readonly xScale?: Scale;
  readonly yScale?: Scale;
  /** The columns to draw, if not all. */
  readonly columns?: readonly string[];
}

export type Scale = 'linear' | 'log';

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

/** What was measured, beside its target. */
export interface Verdict {
  readonly question: string;
  /** The values of the rounds; the median is judged. */
  readonly measured: Spread;
  readonly target: Target;
  /** Whether the values are ratios of contenders in one run. Only these are worth comparing with another machine's. */
  readonly isRatio: boolean;
  readonly met: boolean;
}

export type Target =
  | { readonly kind: 'at least'; readonly value: number }
  | { readonly kind: 'at most'; readonly value: number };

/**
 * Compares two contenders round by round, and judges the median of the ratios: the machine drifts more from round to round
 * than within a round.
 */
export function compare(
  question: string,
  ours: readonly number[],
  theirs: readonly number[],
  target: number | Target,
): Verdict {
  const ratios = ours.map((value, round) => value / theirs[round]!);
  return judge(question, ratios, typeof target === 'number' ? { kind: 'at least', value: target } : target, true);
}

/** Judges values, one of each round, that are to be `target` or more. */
export function atLeast(question: string, values: readonly number[], target: number): Verdict {
  return judge(question, values, { kind: 'at least', value: target });
}

/** Judges values, one of each round, that are to be `target` or less. */
export function atMost(question: string, values: readonly number[], target: number): Verdict {
  return judge(question, values, { kind: 'at most', value: target });
}

function judge(question: string, values: readonly number[], target: Target, isRatio = false): Verdict {
  const measured = spread(values);
  const met = target.kind === 'at least' ? measured.median >= target.value : measured.median <= target.value;
  return { question, measured, target, isRatio, met };
}
