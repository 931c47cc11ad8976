import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SCENARIOS } from '../../../bench/registry.js';
import { readBaseline } from '../../../bench/support/figures.js';
import { scenario, sizesOf } from '../../../bench/support/scenario.js';

test('each scenario has a name of its own and a question', () => {
  expect(new Set(SCENARIOS.map(({ name }) => name)).size).toBe(SCENARIOS.length);
  for (const { name, question } of SCENARIOS) {
    expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(question, name).toMatch(/^[A-Z].*\?$/);
  }
});

test('sizes are whole numbers that say what they mean, and quick ones are no larger than full ones', () => {
  for (const { name, sizes } of SCENARIOS) {
    for (const { full, quick, meaning } of Object.values(sizes)) {
      expect(
        [full, quick].every((size) => Number.isInteger(size) && size >= 1),
        name,
      ).toBe(true);
      expect(quick, name).toBeLessThanOrEqual(full);
      expect(meaning, name).not.toBe('');
    }
  }
});

test('a quick run without a name measures the scenarios that gate a change', () => {
  const gates = SCENARIOS.filter(({ isGate }) => isGate).map(({ name }) => name);
  expect(gates).toEqual(['drain', 'round-trips', 'stall', 'memory', 'micro']);
});

test('bench/README.md says of each scenario how it measures, in the order in which they run', () => {
  const rows = readFileSync('bench/README.md', 'utf8').matchAll(/^\| `([a-z-]+)` \|/gm);
  expect([...rows].map(([, name]) => name)).toEqual(SCENARIOS.map(({ name }) => name));
});

test('the baseline has figures of scenarios that gate a change, and of no scenario that is gone', () => {
  const { quick = {}, full = {} } = readBaseline('bench/baseline.json');
  const gates = SCENARIOS.filter(({ isGate }) => isGate).map(({ name }) => name);
  expect(Object.keys(quick).length).toBeGreaterThan(0);
  expect(gates).toEqual(expect.arrayContaining(Object.keys(quick)));
  expect(SCENARIOS.map(({ name }) => name)).toEqual(expect.arrayContaining(Object.keys(full)));
});

test('a size is what was chosen, else the full one, or the quick one', () => {
  const subject = scenario<{ tasks: number; rounds: number }>({
    name: 'subject',
    question: 'How many?',
    sizes: { tasks: { full: 100, quick: 10, meaning: '' }, rounds: { full: 3, quick: 1, meaning: '' } },
    run: async () => ({ scenario: 'subject', tables: [], verdicts: [], problems: [] }),
  });
  expect(sizesOf(subject, { isQuick: false })).toEqual({ tasks: 100, rounds: 3 });
  expect(sizesOf(subject, { isQuick: true })).toEqual({ tasks: 10, rounds: 1 });
  expect(sizesOf(subject, { isQuick: true, chosen: { tasks: 7, other: 8 } })).toEqual({ tasks: 7, rounds: 1 });
});
