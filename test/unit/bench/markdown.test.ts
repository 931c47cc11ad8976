import { expect, test } from 'vitest';
import { replaceResults, resultsMarkdown } from '../../../bench/support/markdown.js';
import { atLeast, type Report } from '../../../bench/support/report.js';
import type { SavedScenario } from '../../../bench/support/results.js';

function savedWith(rates: readonly number[]): SavedScenario {
  const facts = { cpu: 'a cpu', cores: '2', memory: '4 GiB', load: '', node: '20', redis: '7', docket: '0' };
  const machine = { ...facts, bullmq: '6', ioredis: '6', piscina: '5' };
  const runs = rates.map((rate) => {
    const rows = [{ contender: 'docket', 'tasks/s': rate, min: rate - 5, max: rate + 5, trips: 0.5 }];
    const report: Report = {
      scenario: 'drain',
      tables: [{ title: 'drain | no-op', rows, plot: { name: 'a-plot', y: 'tasks/s' } }],
      verdicts: [atLeast('how fast', [rate], 20)],
      problems: [],
    };
    return { date: '2026-01-02T03:04:05.000Z', machine, sizes: {}, seconds: 1, report };
  });
  return { scenario: 'drain', runs };
}

test('a rate is the median of the runs, with the extremes of all their rounds', () => {
  const markdown = resultsMarkdown([savedWith([30, 10, 20])], 'results');
  expect(markdown).toContain('| contender | tasks/s | trips |');
  expect(markdown).toContain('| docket | 20 (5 to 35) | 0.5 |');
});

test('a target is judged by the median of the runs', () => {
  expect(resultsMarkdown([savedWith([30, 10, 20])], '')).toContain(
    '| drain | how fast | 20 (10 to 30) | at least 20 | met |',
  );
  expect(resultsMarkdown([savedWith([30, 10, 19])], '')).toContain('| **not met** |');
});

test('text cannot break out of its place, and a plot is shown for both themes', () => {
  const markdown = resultsMarkdown([savedWith([1])], 'results');
  expect(markdown).toContain('**drain \\| no-op**');
  expect(markdown).toContain('srcset="results/a-plot-dark.svg"');
  expect(markdown).toContain('src="results/a-plot.svg"');
});

test('only what stands between the markers is replaced', () => {
  const document = 'before\n<!-- results -->\nold\n<!-- end -->\nafter\n';
  expect(replaceResults(document, 'new')).toBe('before\n<!-- results -->\n\nnew\n\n<!-- end -->\nafter\n');
  expect(() => replaceResults('nothing', 'new')).toThrow(/has no <!-- results -->/);
});
