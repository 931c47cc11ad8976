/** Numbers, spans and times as text, in the language and zone of the person who looks. */

const numbers = new Intl.NumberFormat();
const absolute = new Intl.DateTimeFormat(undefined, {
  dateStyle: 'medium',
  timeStyle: 'long',
});

export function countText(count: number): string {
  return numbers.format(count);
}

export function plural(count: number, noun: string): string {
  return `${countText(count)} ${noun}${count === 1 ? '' : 's'}`;
}

export function absoluteText(ms: number): string {
  return absolute.format(ms);
}

/** Formats a span: `340 ms`, `4.2 s`, `3 min`, `5 h`, `2 d`. */
export function spanText(ms: number): string {
  if (ms < 1_000) return `${ms < 10 ? Number(ms.toPrecision(2)) : Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** Formats a time relative to now; in whole seconds, so that it does not flicker. */
export function relativeText(ms: number, nowMs: number): string {
  const span = ms - nowMs;
  if (Math.abs(span) < 1_000) return 'now';
  const text = spanText(Math.floor(Math.abs(span) / 1_000) * 1_000);
  return span < 0 ? `${text} ago` : `in ${text}`;
}

const UNITS = [
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

/** Formats spans in one unit, that of the longest: `3 / 9.6 / 21 ms`. */
export function spansText(spans: readonly number[]): string {
  const longest = Math.max(...spans);
  const [name, unitMs] = UNITS.find(([, ms]) => longest >= 1.5 * ms) ?? UNITS[3];
  return `${spans.map((ms) => shortNumber(ms / unitMs)).join(' / ')} ${name}`;
}

function shortNumber(value: number): string {
  return String(value >= 100 ? Math.round(value) : Number(value.toPrecision(2)));
}

const timesOfDay = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

export function timeOfDayText(ms: number): string {
  return timesOfDay.format(ms);
}
