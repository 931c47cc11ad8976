/** `docket schedules`: lists the schedules, runs one now, and ends one. */
import { Command } from 'commander';
import { internalsOf } from '../client/internals.js';
import { checkKey } from '../core/execution-key.js';
import { isChain } from '../redis/chain-index.js';
import type { Schedule } from '../tasks/schedules.js';
import { EXIT } from './exit-codes.js';
import { CommandError } from './failure.js';
import { groupCommand } from './group.js';
import { print, printable, printJson, printTable } from './output.js';
import { type CommonFlags, withDocket } from './session.js';
import { wholeNumber } from './values.js';

interface ListFlags extends CommonFlags {
  readonly task?: string;
  readonly limit?: number;
}

export function schedulesCommand(): Command {
  const list = new Command('ls')
    .description('Lists the schedules: their tasks, their next three runs, and how the last run ended.')
    .action((_flags: object, command: Command) => showSchedules(command));
  const run = new Command('run')
    .description('Makes the pending run of a schedule, or any scheduled execution, due now.')
    .argument('<key>', 'key of the schedule or execution')
    .action((key: string, _flags: object, command: Command) => runNow(key, command));
  const end = new Command('end')
    .description('Ends a schedule: removes its pending run, and asks a running one to stop.')
    .argument('<key>', 'key of the schedule')
    .action((key: string, _flags: object, command: Command) => endSchedule(key, command));
  return groupCommand('schedules', 'Lists the schedules, runs one now, or ends one.', [list, run, end], showSchedules)
    .option('--task <task>', 'list the schedules of this task only')
    .option('--limit <n>', `maximum number of schedules to list (default: ${DEFAULT_LIMIT})`, wholeNumber)
    .option('--json', 'write JSON');
}

const DEFAULT_LIMIT = 100;

function showSchedules(command: Command): Promise<void> {
  return withDocket(command, async (docket) => {
    const { task, limit = DEFAULT_LIMIT, json } = command.optsWithGlobals<ListFlags>();
    const listed: Schedule[] = [];
    for await (const schedule of docket.schedules({ limit, ...(task !== undefined && { task }) }))
      listed.push(schedule);
    if (json) return printJson(listed);
    const rows = listed.map((schedule) => [
      schedule.key,
      schedule.task,
      timingText(schedule),
      ...[0, 1, 2].map((i) => timeText(schedule.nextRuns[i])),
      lastText(schedule),
      endText(schedule),
    ]);
    printTable(
      ['key', 'task', 'when', 'next run', 'then', 'and then', 'last run', 'ends'],
      rows,
      'there are no schedules',
    );
    if (listed.length === limit) print(`these are the first ${limit}: --limit lists more`);
  });
}

function runNow(key: string, command: Command): Promise<void> {
  return withDocket(command, async (docket) => {
    if (!(await docket.runNow(key))) {
      const state = (await docket.getExecution(key))?.state;
      const problem =
        state === undefined
          ? `there is no execution under the key '${key}'`
          : `nothing is scheduled under the key '${key}': its execution is ${state}`;
      throw new CommandError(problem, EXIT.notFound);
    }
    if (command.optsWithGlobals<CommonFlags>().json) printJson({ key, due: true });
    else print(`${printable(key)}  due now`);
  });
}

function endSchedule(key: string, command: Command): Promise<void> {
  return withDocket(command, async (docket) => {
    checkKey(key);
    const { partitions } = internalsOf(docket);
    const found = await partitions.everywhere((one) => one.run((redis, keys) => isChain(redis, keys, key)));
    if (!found.includes(true)) {
      throw new CommandError(`there is no schedule under the key '${key}': docket schedules lists them`, EXIT.notFound);
    }
    await docket.cancel(key);
    if (command.optsWithGlobals<CommonFlags>().json) printJson({ key, ended: true });
    else print(`${printable(key)}  ended`);
  });
}

function timingText({ policy, description, isAutomatic }: Schedule): string {
  const words = policy.kind === 'cron' ? `${description} (${policy.timezone})` : description;
  return isAutomatic ? `${words}, automatic` : words;
}

/** Formats a point in time to the second. */
function timeText(when: Date | undefined): string {
  return when === undefined ? '' : when.toISOString().replace(/\.\d+Z$/, 'Z');
}

function lastText({ lastOutcome }: Schedule): string {
  if (lastOutcome === null) return '';
  const { state, at, errorLine } = lastOutcome;
  return `${state} ${timeText(at)}${errorLine === null ? '' : `: ${errorLine}`}`;
}

function endText({ runsLeft, until }: Schedule): string {
  const ends = [
    ...(runsLeft === null ? [] : [`after ${runsLeft} more`]),
    ...(until === null ? [] : [`at ${timeText(until)}`]),
  ];
  return ends.join(' or ');
}
