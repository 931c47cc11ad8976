/** How commands write: lines and tables for people, JSON for programs. */
import Table from 'cli-table3';

/** Writes one line to stdout. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Writes a value as one line of JSON. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, asJson));
}

/** Writes a table; writes `empty` instead when there are no rows. */
export function printTable(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  empty: string,
): void {
  if (rows.length === 0) return print(empty);
  const style = hasColours(process.stdout) ? { head: ['bold'], border: ['grey'] } : { head: [], border: [] };
  const table = new Table({ head: [...head], style });
  for (const row of rows) table.push(row.map((cell) => shortened(printable(String(cell)))));
  print(table.toString());
}

/** Whether the text written to a stream may have colours. */
export function hasColours(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR;
}

/** Makes foreign text safe to print: one line, without control characters that a terminal would obey. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => (/\s/.test(character) ? ' ' : '�'));
}

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

const MAX_CELL_CHARS = 60;

function shortened(text: string): string {
  return text.length > MAX_CELL_CHARS ? `${text.slice(0, MAX_CELL_CHARS - 1)}…` : text;
}

/** Converts values that JSON cannot hold, which results of tasks may contain, to the nearest form. */
function asJson(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Map) return [...value];
  if (value instanceof Set) return [...value];
  if (value instanceof Error) return { name: value.name, message: value.message };
  return value;
}
