import { expect, test } from 'vitest';
import { sparkline } from '../../../src/cli/sparkline.js';

test.each<[string, number[], string]>([
  ['nothing', [], ''],
  ['zeros', [0, 0, 0], '▁▁▁'],
  ['a single number', [7], '█'],
  ['what rises', [0, 1, 2, 3, 4, 5, 6, 7], '▁▂▃▄▅▆▇█'],
  ['what is little beside the greatest, but not 0', [0, 1, 100_000], '▁▂█'],
])('a sparkline draws %s', (_, values, drawn) => {
  expect(sparkline(values)).toBe(drawn);
});

test('a sparkline of more numbers than it may be wide adds up neighbours, the last ones always whole', () => {
  expect(sparkline([9, 1, 1, 0, 0, 2, 2], 4)).toBe('█▃▁▅');
  expect(sparkline(new Array(2_880).fill(1), 30)).toBe('█'.repeat(30));
});
