/** A small line of counts, drawn as one path. */
import { countText } from '../lib/format.js';

const WIDTH = 96;
const HEIGHT = 20;
const MOST_POINTS = 60;

export function Sparkline({ values }: { values: readonly number[] }) {
  const points = joined(values);
  const high = Math.max(...points, 1);
  const step = WIDTH / Math.max(1, points.length - 1);
  const line = points.map(
    (value, i) => `${(i * step).toFixed(1)},${(HEIGHT - 1 - (value / high) * (HEIGHT - 2)).toFixed(1)}`,
  );
  const total = values.reduce((sum, value) => sum + value, 0);
  return (
    <span class="spark">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} aria-hidden="true">
        <polyline points={line.join(' ')} />
      </svg>
      <span class="hidden">{countText(total)} started</span>
    </span>
  );
}

/** Joins neighbours, so that a day fits into the line. */
function joined(values: readonly number[]): number[] {
  const each = Math.ceil(values.length / MOST_POINTS);
  const points: number[] = [];
  for (let i = 0; i < values.length; i += each) {
    points.push(values.slice(i, i + each).reduce((sum, value) => sum + value, 0));
  }
  return points;
}
