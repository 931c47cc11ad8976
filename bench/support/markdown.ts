/** Writes saved results as Markdown: of several runs the median, with the lowest and the highest value of any. */
import { plotsOf } from './plot.js';
import type { Report, Row, Table, Verdict } from './report.js';
import type { SavedScenario } from './results.js';
import { spread } from './stats.js';

/** Marks the part of a document that is generated. */
const BEGIN = '<!-- results -->';
const END = '<!-- end -->';

/** Replaces what stands between the markers. */
export function replaceResults(document: string, results: string): string {
  const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the document has no ${BEGIN} with an ${END} behind it`);
  return `${document.slice(0, begin + BEGIN.length)}\n\n${results.trim()}\n\n${document.slice(end)}`;
}

/** @param folder - where the plots are, as seen from the document */
export function resultsMarkdown(saved: readonly SavedScenario[], folder: string): string {
  const known = saved.filter(({ runs }) => runs.length > 0);
  const sections = known.map(({ scenario, runs }) =>
    sectionOf(
      scenario,
      runs.map(({ report }) => report),
      folder,
    ),
  );
  return [machinesOf(known), targetsOf(known), ...sections].join('\n\n');
}

function machinesOf(saved: readonly SavedScenario[]): string {
  const machines = saved.flatMap(({ runs }) => runs.map(({ machine }) => machine));
  const facts = machines.map(({ cpu, cores, memory, node, redis, docket, bullmq, piscina }) =>
    [
      `${cpu}, ${cores} cores, ${memory}`,
      `Node ${node}, Redis ${redis}, docket ${docket}, BullMQ ${bullmq}, piscina ${piscina}`,
    ].join('; '),
  );
  const dates = saved.flatMap(({ runs }) => runs.map(({ date }) => date.slice(0, 10))).sort();
  const [first, last] = [dates[0], dates.at(-1)];
  return `${[...new Set(facts)].join('. ')}. ${first === last ? first : `${first} to ${last}`}.`;
}

function targetsOf(saved: readonly SavedScenario[]): string {
  const rows = saved.flatMap(({ scenario, runs }) => {
    const reports = runs.map(({ report }) => report);
    return reports[0]!.verdicts.map((verdict, index) => {
      const values = reports.flatMap(({ verdicts }) => verdicts[index] ?? []);
      return targetRow(scenario, verdict, values);
    });
  });
  return ['### Targets', tableOf(['scenario', 'question', 'median (min to max)', 'target', 'verdict'], rows)].join(
    '\n\n',
  );
}

function targetRow(scenario: string, { question, target }: Verdict, values: readonly Verdict[]): string[] {
  const { median } = spread(values.map(({ measured }) => measured.median));
  const min = Math.min(...values.map(({ measured }) => measured.min));
  const max = Math.max(...values.map(({ measured }) => measured.max));
  const isMet = target.kind === 'at least' ? median >= target.value : median <= target.value;
  const range = `${number(median)} (${number(min)} to ${number(max)})`;
  return [scenario, question, range, `${target.kind} ${number(target.value)}`, isMet ? 'met' : '**not met**'];
}

function sectionOf(scenario: string, reports: readonly Report[], folder: string): string {
  const last = reports.at(-1)!;
  const tables = last.tables.map((table, index) => {
    const same = reports.flatMap(({ tables }) => tables[index] ?? []);
    const notes = (table.notes ?? []).map((note) => `- ${escapeText(note)}`).join('\n');
    return [`**${escapeText(table.title)}**`, mergedTable(table, same), notes].filter(Boolean).join('\n\n');
  });
  const pictures = plotsOf(last).map(({ name, title }) => picture(`${folder}/${name}`, title));
  return [`### ${scenario}`, ...tables, ...pictures].join('\n\n');
}

/** The columns `min` and `max` belong to the column before them, and are written in its cells. */
function mergedTable(table: Table, runs: readonly Table[]): string {
  const all = [...new Set(table.rows.flatMap((row) => Object.keys(row)))];
  const columns = all.filter((column) => column !== 'min' && column !== 'max');
  const ranged = all[all.indexOf('min') - 1];
  const rows = table.rows.map((row, index) => {
    const same = runs.flatMap(({ rows }) => rows.slice(index, index + 1));
    return columns.map((column) => cellOf(column, row, same, column === ranged));
  });
  return tableOf(columns, rows);
}

function cellOf(column: string, row: Row, runs: readonly Row[], isRanged: boolean): string {
  const numbers = (name: string) => runs.map((run) => run[name]).filter((value) => typeof value === 'number');
  const values = numbers(column);
  if (values.length === 0) return escapeText(String(row[column] ?? '-'));
  const median = number(spread(values).median);
  if (!isRanged) return median;
  return `${median} (${number(Math.min(...numbers('min')))} to ${number(Math.max(...numbers('max')))})`;
}

/** GitHub and most other pages choose the picture by the reader's theme. */
function picture(path: string, title: string): string {
  return [
    '<picture>',
    `  <source media="(prefers-color-scheme: dark)" srcset="${path}-dark.svg">`,
    `  <img alt="${escapeText(title)}" src="${path}.svg">`,
    '</picture>',
  ].join('\n');
}

function tableOf(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}

function number(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 1 ? 3 : value < 100 ? 2 : 0 });
}

function escapeText(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
