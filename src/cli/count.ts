/** `docket ls --count`: whose executions there are. Owns the rule that the values of arguments are private. */
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { InvalidOptionError } from '../core/errors.js';
import { loggedArguments } from '../redis/fleet-store.js';
import { argumentText } from '../tasks/argument-text.js';
import type { ExecutionCount, ExecutionCounts } from '../tasks/counting.js';
import type { Filter } from './filter.js';
import { countText, print, printJson, printTable } from './output.js';

interface CountFlags {
  readonly filter: Filter;
  /** Name of the argument; `null` to count by task only. */
  readonly by: string | null;
  readonly limit: number | undefined;
  readonly showsArguments: boolean;
  readonly isJson: boolean;
}

export async function printCounts(docket: Docket, flags: CountFlags): Promise<void> {
  const { filter, by, limit, showsArguments, isJson } = flags;
  if (limit === 0) throw new InvalidOptionError('limit', 'expected a whole number of 1 or more');
  const result = await docket.count({
    ...filter,
    ...(by !== null && { by }),
    ...(limit !== undefined && { lookAt: limit }),
  });
  const rows = await visibleRows(docket, result, by !== null && !showsArguments ? by : null);
  if (isJson) return printJson({ ...result, counts: rows });
  const head = ['executions', 'task', ...(by === null ? [] : [by])];
  const cells = rows.slice(0, MAX_ROWS).map((row) => [row.count, row.task, ...(by === null ? [] : [textOf(row)])]);
  printTable(head, cells, 'there are no such executions');
  printRemarks(result, rows);
}

const MAX_ROWS = 20;

/** A count, or those of one task together whose values are private. */
interface Row extends ExecutionCount {
  /** How many values these are. */
  readonly hiddenValues?: number;
}

/** Returns the counts, of which those of each task are put together if it does not show the argument `hidden` in the log. */
async function visibleRows(docket: Docket, { counts }: ExecutionCounts, hidden: string | null): Promise<Row[]> {
  if (hidden === null) return [...counts];
  const { partitions } = internalsOf(docket);
  const shown: Row[] = [];
  for (const task of new Set(counts.map((one) => one.task))) {
    const ofTask = counts.filter((one) => one.task === task);
    const hasValues = ofTask.some(({ value }) => value !== undefined);
    const logged = hasValues
      ? await partitions.everywhere((one) => one.run((redis, keys) => loggedArguments(redis, keys, task)))
      : [];
    const isLogged = logged.some((names) => names.has(hidden));
    const isPrivate = ({ value }: ExecutionCount) => value !== undefined && !isLogged;
    const secret = ofTask.filter(isPrivate);
    const count = secret.reduce((sum, one) => sum + one.count, 0);
    shown.push(...ofTask.filter((one) => !isPrivate(one)));
    if (secret.length > 0) shown.push({ task, count, hiddenValues: secret.length });
  }
  return shown.toSorted((a, b) => b.count - a.count);
}

function textOf({ value, hiddenValues }: Row): string {
  if (hiddenValues !== undefined) return `(${countText(hiddenValues, 'value')}, not shown)`;
  return value === undefined ? '(none)' : argumentText(value);
}

function printRemarks({ lookedAt, others, isWhole }: ExecutionCounts, rows: readonly Row[]): void {
  if (rows.length > MAX_ROWS) print(`and ${rows.length - MAX_ROWS} more rows: --json has them`);
  if (others > 0) print(`and ${countText(others, 'execution')} of more values than are counted apart`);
  if (!isWhole) print(`counted among the first ${countText(lookedAt, 'execution')}: --limit looks at more`);
  if (rows.some(({ hiddenValues }) => hiddenValues !== undefined)) {
    print('the task does not show this argument in the log, so it may be private: --show-arguments shows it');
  }
}
