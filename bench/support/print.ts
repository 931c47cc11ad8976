/** Prints reports: padded columns on stdout, and one live status line on stderr. */
import type { Machine } from './machine.js';
import type { Report, Row, Table, Verdict } from './report.js';

export function printReport({ tables, verdicts, problems }: Report): void {
  for (const table of tables) printTable(table);
  if (verdicts.length > 0) printTable({ title: 'targets', rows: verdicts.map(verdictRow) });
  for (const problem of problems) console.log(`AUDIT FAILED: ${problem}`);
  if (problems.length === 0) console.log('audit: nothing lost, nothing repeated, nothing left over');
}

export function printMachine(machine: Machine): void {
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`);
  console.log(`\n${facts.join(', ')}`);
}

function verdictRow({ question, measured, target, met }: Verdict): Row {
  const figures = { median: measured.median, min: measured.min, max: measured.max };
  const bound = `${target.kind === 'at least' ? '>=' : '<='} ${cell(target.value)}`;
  return { question, ...figures, target: bound, verdict: met ? 'met' : 'not met' };
}

function printTable({ title, rows, notes = [] }: Table): void {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [columns, ...rows.map((row) => columns.map((column) => cell(row[column])))];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const isNumber = columns.map((column) => rows.every((row) => typeof row[column] !== 'string'));
  console.log(`\n${title}`);
  for (const line of lines) {
    console.log(
      `  ${line
        .map((text, i) => (isNumber[i] ? text.padStart(widths[i]!) : text.padEnd(widths[i]!)))
        .join('  ')
        .trimEnd()}`,
    );
  }
  for (const note of notes) console.log(`  (${note})`);
}

function cell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'string') return value;
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 1 ? 3 : value < 100 ? 2 : 0 });
}

/** Shows what is going on, apart from the results: one line, rewritten in place on a terminal, a new one each time elsewhere. */
export function status(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  else if (text) process.stderr.write(`${text}\n`);
}

/** Shows a status that changes many times a second, on a terminal only. */
export function liveStatus(text: string): void {
  if (process.stderr.isTTY) status(text);
}
