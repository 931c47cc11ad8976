/** Counts and spans of time as text for people. */

/** Formats a count with its noun, whose plural ends with an s: `1 worker`, `2 workers`. */
export function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Formats a span of time for people, in at most two units: `250ms`, `3.2s`, `4m 10s`, `2h 5m`, `3d 4h`. */
export function spanText(ms: number): string {
  const span = Math.max(0, Math.round(ms));
  if (span < 1_000) return `${span}ms`;
  if (span < 60_000) return `${(Math.floor(span / 100) / 10).toFixed(1)}s`;
  const [minutes, hours, days] = [60_000, 3_600_000, 86_400_000].map((unit) => Math.floor(span / unit)) as Three;
  if (hours < 1) return `${minutes}m ${Math.floor(span / 1_000) % 60}s`;
  return days < 1 ? `${hours}h ${minutes % 60}m` : `${days}d ${hours % 24}h`;
}

type Three = [number, number, number];
