/**
 * The figures by which `--compare` judges a change: costs that do not depend on the machine, and ratios to a peer in the same
 * run. A baseline keeps them apart for quick and for full runs, because some depend on the sizes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Report, Row, Verdict } from './report.js';
import { spread } from './stats.js';

/** A cost may grow by this share, */
const COST_TOLERANCE = 0.1;
/** or by this much: batches are a little larger or smaller from run to run, which shows in costs that are almost nothing. */
const COST_SLACK = 0.005;
/** A ratio may get worse by this share. */
const RATIO_TOLERANCE = 0.15;

type Kind = 'quick' | 'full';

/** Figures by scenario, and then by what they say. */
type Figures = Readonly<Record<string, Readonly<Record<string, number>>>>;

export interface Baseline {
  readonly quick?: Figures;
  readonly full?: Figures;
}

/** Ratios mean something when the runs are long enough, so only full runs have them. Of several runs the median counts. */
export function figuresOf(reports: readonly Report[], kind: Kind): Figures {
  const scenarios = new Set(reports.map(({ scenario }) => scenario));
  const medians = (scenario: string) => {
    const runs = reports
      .filter((report) => report.scenario === scenario)
      .map((report) => ({ ...costsOf(report), ...(kind === 'full' ? ratiosOf(report) : {}) }));
    const names = new Set(runs.flatMap((figures) => Object.keys(figures)));
    return Object.fromEntries(
      [...names].map((name) => [name, spread(runs.flatMap((figures) => figures[name] ?? [])).median]),
    );
  };
  return Object.fromEntries([...scenarios].map((scenario) => [scenario, medians(scenario)]));
}

/** Lists what got worse since the baseline, or cannot be compared with it; the list is empty when nothing is wrong. */
export function compareFigures(baseline: Baseline, reports: readonly Report[], kind: Kind): string[] {
  const now = figuresOf(reports, kind);
  return Object.entries(now).flatMap(([scenario, figures]) => {
    const before = baseline[kind]?.[scenario] ?? {};
    const names = [...new Set([...Object.keys(before), ...Object.keys(figures)])];
    return names.flatMap((name) => {
      const complaint = complain(name, before[name], figures[name]);
      return complaint ? [`${scenario}: ${name}: ${complaint}`] : [];
    });
  });
}

/** Returns the baseline with the figures of these reports in place of those it had for their scenarios. */
export function acceptFigures(baseline: Baseline, reports: readonly Report[], kind: Kind): Baseline {
  const accepted = Object.entries(figuresOf(reports, kind)).filter(([, figures]) => Object.keys(figures).length > 0);
  return { ...baseline, [kind]: { ...baseline[kind], ...Object.fromEntries(accepted) } };
}

export function readBaseline(file: string): Baseline {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Baseline;
  } catch (error) {
    throw new Error(`cannot read the baseline ${file}: ${(error as Error).message}`);
  }
}

export function writeBaseline(file: string, baseline: Baseline): void {
  const round = (_key: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value);
  writeFileSync(file, `${JSON.stringify(baseline, round, 2)}\n`);
}

function costsOf({ tables }: Report): Record<string, number> {
  const figures: Record<string, number> = {};
  for (const { rows, costs } of tables) {
    if (!costs) continue;
    for (const row of rows) {
      const rowName = nameOf(row);
      if (costs.rows && !costs.rows.includes(rowName)) continue;
      for (const column of costs.columns) {
        const value = row[column];
        const name = `${rowName}: ${column}`;
        if (name in figures) throw new Error(`two rows have the figure '${name}'`);
        if (typeof value === 'number') figures[name] = value;
      }
    }
  }
  return figures;
}

function ratiosOf({ verdicts }: Report): Record<string, number> {
  const ratios = verdicts.filter(({ isRatio }) => isRatio);
  return Object.fromEntries(ratios.map((verdict) => [ratioName(verdict), verdict.measured.median]));
}

const RATIO = /^ratio, (at least|at most): /;

function ratioName({ question, target }: Verdict): string {
  return `ratio, ${target.kind}: ${question}`;
}

function complain(name: string, before: number | undefined, now: number | undefined): string | undefined {
  if (before === undefined) return 'not in the baseline; --accept puts it there';
  if (now === undefined) return 'in the baseline, but not measured any more';
  const direction = RATIO.exec(name)?.[1];
  const change = `${now.toPrecision(4)} instead of ${before.toPrecision(4)}`;
  switch (direction) {
    case 'at least':
      return now < before * (1 - RATIO_TOLERANCE) ? `the ratio fell, ${change}` : undefined;
    case 'at most':
      return now > before * (1 + RATIO_TOLERANCE) ? `the ratio grew, ${change}` : undefined;
    default:
      return now > Math.max(before * (1 + COST_TOLERANCE), before + COST_SLACK) ? `it grew, ${change}` : undefined;
  }
}

function nameOf(row: Row): string {
  return String(Object.values(row)[0]);
}
