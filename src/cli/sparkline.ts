/** A row of numbers as a row of characters, for a table. */

const LEVELS = '▁▂▃▄▅▆▇█';

/**
 * Draws each number as a bar between 0 and the greatest of them. Nothing but 0 has the lowest bar. When there are more numbers
 * than `width`, each bar is the sum of as many neighbours as are needed, the last ones always whole.
 */
export function sparkline(values: readonly number[], width = values.length): string {
  const perBar = Math.max(1, Math.ceil(values.length / width));
  const bars: number[] = [];
  for (let end = values.length; end > 0; end -= perBar) {
    bars.unshift(values.slice(Math.max(0, end - perBar), end).reduce((sum, value) => sum + value, 0));
  }
  const greatest = Math.max(...bars);
  return bars.map((bar) => (bar <= 0 ? LEVELS[0] : LEVELS[Math.ceil((bar / greatest) * (LEVELS.length - 1))])).join('');
}
