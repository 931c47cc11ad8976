import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  acceptFigures,
  type Baseline,
  compareFigures,
  figuresOf,
  readBaseline,
  writeBaseline,
} from '../../../bench/support/figures.js';
import { atMost, compare, type Report } from '../../../bench/support/report.js';

/** A report with a cost for each of these rows, and a ratio to a peer. */
function reportOf(costs: Readonly<Record<string, number | null>>, ratio = 4): Report {
  const rows = Object.entries(costs).map(([contender, trips]) => ({ contender, 'tasks/s': 1, 'trips/task': trips }));
  return {
    scenario: 'a-scenario',
    tables: [{ title: 'costs', rows, costs: { columns: ['trips/task'] } }],
    verdicts: [compare('ours / theirs', [ratio], [1], 3)],
    problems: [],
  };
}

function baselineOf(report: Report, kind: 'quick' | 'full' = 'quick'): Baseline {
  return acceptFigures({}, [report], kind);
}

const BASELINE = baselineOf(reportOf({ docket: 2 }));

test('a cost that grows by 9 % passes', () => {
  expect(compareFigures(BASELINE, [reportOf({ docket: 2.18 })], 'quick')).toEqual([]);
});

test('a cost that grows by 11 % fails, and the complaint has both values', () => {
  expect(compareFigures(BASELINE, [reportOf({ docket: 2.22 })], 'quick')).toEqual([
    'a-scenario: docket: trips/task: it grew, 2.220 instead of 2.000',
  ]);
});

test('a cost that shrinks passes', () => {
  expect(compareFigures(BASELINE, [reportOf({ docket: 0.1 })], 'quick')).toEqual([]);
});

test('a cost of almost nothing may vary by more, because batches do', () => {
  const baseline = baselineOf(reportOf({ docket: 0.004 }));
  expect(compareFigures(baseline, [reportOf({ docket: 0.008 })], 'quick')).toEqual([]);
  expect(compareFigures(baseline, [reportOf({ docket: 0.01 })], 'quick')).toHaveLength(1);
});

test('a row that is missing fails', () => {
  const baseline = baselineOf(reportOf({ docket: 2, 'docket, tracked': 3 }));
  expect(compareFigures(baseline, [reportOf({ docket: 2 })], 'quick')).toEqual([
    'a-scenario: docket, tracked: trips/task: in the baseline, but not measured any more',
  ]);
});

test('a cost that could not be measured fails like a row that is missing', () => {
  expect(compareFigures(BASELINE, [reportOf({ docket: null })], 'quick')).toHaveLength(1);
});

test('a row that the baseline lacks fails, and the complaint says how to accept it', () => {
  expect(compareFigures(BASELINE, [reportOf({ docket: 2, 'docket, new': 1 })], 'quick')).toEqual([
    expect.stringContaining('--accept'),
  ]);
});

test('a scenario that did not run is not missing', () => {
  const other = { ...reportOf({ docket: 9 }), scenario: 'another-scenario' };
  const baseline = acceptFigures(BASELINE, [other], 'quick');
  expect(compareFigures(baseline, [reportOf({ docket: 2 })], 'quick')).toEqual([]);
});

test('a ratio may fall by 14 % and not by 16 %, and only full runs judge it', () => {
  const baseline = baselineOf(reportOf({ docket: 2 }, 4), 'full');
  expect(compareFigures(baseline, [reportOf({ docket: 2 }, 3.45)], 'full')).toEqual([]);
  expect(compareFigures(baseline, [reportOf({ docket: 2 }, 3.35)], 'full')).toEqual([
    'a-scenario: ratio, at least: ours / theirs: the ratio fell, 3.350 instead of 4.000',
  ]);
  expect(compareFigures(BASELINE, [reportOf({ docket: 2 }, 1)], 'quick')).toEqual([]);
});

test('a ratio with an upper bound may not grow by more than 15 %', () => {
  const report = (ratio: number): Report => ({
    ...reportOf({ docket: 2 }),
    verdicts: [compare('latency: ours / theirs', [ratio], [1], { kind: 'at most', value: 1 })],
  });
  const baseline = baselineOf(report(0.5), 'full');
  expect(compareFigures(baseline, [report(0.57)], 'full')).toEqual([]);
  expect(compareFigures(baseline, [report(0.58)], 'full')).toHaveLength(1);
});

test('a value that depends on the machine is not a figure', () => {
  const report = { ...reportOf({ docket: 2 }), verdicts: [atMost('milliseconds', [3], 5)] };
  expect(figuresOf([report], 'full')).toEqual({ 'a-scenario': { 'docket: trips/task': 2 } });
});

test('the rows of peers are not judged', () => {
  const [table] = reportOf({ docket: 2, BullMQ: 20 }).tables;
  const tables = [{ ...table!, costs: { columns: ['trips/task'], rows: ['docket'] } }];
  expect(figuresOf([{ ...reportOf({}), tables }], 'quick')).toEqual({ 'a-scenario': { 'docket: trips/task': 2 } });
});

test('of several runs the median counts', () => {
  const reports = [2, 9, 2.1].map((trips) => reportOf({ docket: trips }));
  expect(compareFigures(BASELINE, reports, 'quick')).toEqual([]);
});

test('two rows of one name are refused, because one would hide the other', () => {
  const [table] = reportOf({ docket: 2 }).tables;
  expect(() => figuresOf([{ ...reportOf({}), tables: [table!, table!] }], 'quick')).toThrow(/docket: trips\/task/);
});

test('accepting some scenarios keeps the figures of the others, and those of the other kind of run', () => {
  const full = baselineOf(reportOf({ docket: 1 }), 'full');
  const both = acceptFigures(acceptFigures(full, [reportOf({ docket: 2 })], 'quick'), [], 'quick');
  const folder = mkdtempSync(join(tmpdir(), 'docket-baseline-'));
  try {
    writeBaseline(join(folder, 'baseline.json'), both);
    expect(readBaseline(join(folder, 'baseline.json'))).toEqual({ ...full, ...BASELINE });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
