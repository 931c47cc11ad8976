/** `docket stats`: what ran in the last minutes, by task or minute by minute. */
import { Command } from 'commander';
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { describeDocket } from '../redis/docket-settings.js';
import type { AttemptCounts, AttemptTimes, HistoryMinute, Percentiles } from '../tasks/history.js';
import { countText, print, printable, printJson, printTable, spanText } from './output.js';
import { type CommonFlags, withDocket } from './session.js';
import { sparkline } from './sparkline.js';
import { wholeNumber } from './values.js';

interface StatsFlags extends CommonFlags {
  readonly task?: string;
  readonly minutes?: number;
}

const DEFAULT_MINUTES = 60;
const SPARKLINE_WIDTH = 30;

export function statsCommand(): Command {
  return new Command('stats')
    .description('Shows the attempts of the last minutes: how many, how they ended, how long they waited and took.')
    .option('--task <name>', 'only this task, minute by minute')
    .option('--minutes <n>', `how far to look back, up to 2880 (default: ${DEFAULT_MINUTES})`, wholeNumber)
    .option('--json', 'write JSON')
    .action(({ task, minutes = DEFAULT_MINUTES, json = false }: StatsFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const show = task === undefined ? showTasks : showTask;
        await show(docket, { task: task ?? '', minutes, json });
      }),
    );
}

interface Query {
  readonly task: string;
  readonly minutes: number;
  readonly json: boolean;
}

async function showTasks(docket: Docket, { minutes, json }: Query): Promise<void> {
  const [tasks, history] = await Promise.all([docket.stats({ minutes }), docket.history({ minutes })]);
  if (json) return printJson({ minutes: history, tasks });
  print(`${describeDocket(internalsOf(docket).settings)}, the last ${countText(minutes, 'minute')}`);
  printSparklines(history);
  const rows = [...tasks]
    .sort((a, b) => b.started - a.started)
    .map((task) => [task.task, ...cellsOf(task), sparkline(task.startedByMinute, SPARKLINE_WIDTH)]);
  printTable(
    ['task', ...HEAD, 'started, by time'],
    rows,
    'nothing was counted: no worker ran anything, or none of them writes the history',
  );
}

async function showTask(docket: Docket, { task, minutes, json }: Query): Promise<void> {
  const history = await docket.history({ task, minutes });
  if (json) return printJson({ task, minutes: history });
  print(
    `task ${printable(task)} of ${describeDocket(internalsOf(docket).settings)}, the last ${countText(minutes, 'minute')}`,
  );
  printSparklines(history);
  const rows = history.filter(hasCounts).map((minute) => [minute.at.toISOString().slice(0, 16), ...cellsOf(minute)]);
  printTable(['minute (UTC)', ...HEAD], rows, 'nothing of it was counted');
}

function printSparklines(history: readonly HistoryMinute[]): void {
  if (!history.some(hasCounts)) return;
  for (const count of ['started', 'failed'] as const) {
    const values = history.map((minute) => minute[count]);
    const total = values.reduce((sum, value) => sum + value, 0);
    print(`${count.padEnd(8)}${sparkline(values, 2 * SPARKLINE_WIDTH)}  ${total}`);
  }
}

const HEAD = ['started', 'succeeded', 'retried', 'failed', 'waited p50/p95/p99', 'took p50/p95/p99'] as const;

function cellsOf(tally: AttemptCounts & AttemptTimes): (string | number)[] {
  const { started, succeeded, retried, failed, waiting, duration } = tally;
  return [started, succeeded, retried, failed, percentilesText(waiting), percentilesText(duration)];
}

function percentilesText(percentiles: Percentiles | null): string {
  if (percentiles === null) return '';
  const { p50Ms, p95Ms, p99Ms } = percentiles;
  return [p50Ms, p95Ms, p99Ms].map(spanText).join(' ');
}

function hasCounts(minute: HistoryMinute): boolean {
  const { started, succeeded, retried, failed, duration } = minute;
  return started + succeeded + retried + failed > 0 || duration !== null;
}
