/** How commands write: lines and tables for people, JSON for programs. */
import Table from 'cli-table3';
import type { Priority } from '../core/priority.js';

export { countText, spanText } from '../core/text.js';

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

/** Returns the name of a task, with the priority of its execution unless that is normal or not known. */
export function taskText(task: string, priority: Priority | null): string {
  return priority === null || priority === 'normal' ? task : `${task} (${priority})`;
}

/** Whether the text written to a stream may have colours. */
export function hasColours(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR;
}

/** Makes foreign text safe to print: one line, without control characters that a terminal would obey. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => (/\s/.test(character) ? ' ' : '�'));
}

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
