/** The findings of a scenario: tables for people, and the same values for programs. */
import { type Spread, spread } from './stats.js';

export interface Report {
  readonly scenario: string;
  readonly tables: readonly Table[];
  readonly verdicts: readonly Verdict[];
  /** What the audits found: lost, repeated or left-over work. Any problem fails the bench. */
  readonly problems: readonly string[];
  readonly plots?: readonly Plot[];
}

export interface Table {
  readonly title: string;
  /** The first column names the row, and no other row of the scenario's tables with `costs` has that name. */
  readonly rows: readonly Row[];
  /** What a reader needs to know to judge the figures. */
  readonly notes?: readonly string[];
  /**
   * The columns whose values do not depend on the machine, such as commands, round trips or bytes for each task. Less is
   * better. `--compare` fails when one of them grows.
   */
  readonly costs?: readonly string[];
}

/** The values of a row by column, whose name has the unit; `null` where a value could not be measured. */
export type Row = Readonly<Record<string, string | number | null>>;

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

/** A picture: lines through points. */
export interface Plot {
  /** The name of its file, without the ending. */
  readonly name: string;
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

export interface Axis {
  /** What it shows, with the unit. */
  readonly label: string;
  readonly scale?: 'linear' | 'log';
}

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}
