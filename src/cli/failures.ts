/** `docket failures`: lists, shows, retries and discards failures. */
import { inspect } from 'node:util';
import { Command, Option } from 'commander';
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { InvalidOptionError } from '../core/errors.js';
import { describeDocket } from '../redis/docket-settings.js';
import type { Failure, FailureFilter, RetryReport } from '../tasks/failures.js';
import { confirmUnless } from './confirm.js';
import { EXIT } from './exit-codes.js';
import { CommandError } from './failure.js';
import { groupCommand } from './group.js';
import { countText, print, printable, printJson, printTable, spanText, taskText } from './output.js';
import { type CommonFlags, withDocket } from './session.js';
import { parseSince, wholeNumber } from './values.js';

interface FilterFlags extends CommonFlags {
  readonly task?: string;
  readonly error?: string;
  readonly since?: Date;
  readonly until?: Date;
  readonly limit?: number;
}

interface SelectionFlags extends FilterFlags {
  readonly all?: boolean;
  readonly yes?: boolean;
}

export function failuresCommand(): Command {
  const list = withFilter(new Command('ls'))
    .description('Lists failures, the newest first.')
    .action((_flags: object, command: Command) => listFailures(command));
  const show = new Command('show')
    .description('Shows one failure: its arguments, its error with the stack, and where and when it failed.')
    .argument('<id>', 'id of the failure, from docket failures')
    .option('--json', 'write JSON')
    .action((id: string, _flags: object, command: Command) => showFailure(id, command));
  const description = 'Lists executions that failed for good, shows one, retries them, or discards them.';
  return withFilter(
    groupCommand(
      'failures',
      description,
      [list, groupsCommand(), show, retryCommand(), discardCommand()],
      listFailures,
    ),
  );
}

function groupsCommand(): Command {
  return withFilter(new Command('groups'))
    .description('Counts failures by task and error, the largest group first.')
    .action((_flags: object, command: Command) => groupFailures(command));
}

function retryCommand(): Command {
  return withSelection(new Command('retry'))
    .description('Adds executions again, with the same keys and arguments, and removes their failures.')
    .action((ids: string[], _flags: object, command: Command) => retryFailures(ids, command));
}

function discardCommand(): Command {
  return withSelection(new Command('discard'))
    .description('Removes failures for good.')
    .option('--yes', 'do not ask for confirmation; required without a terminal, unless ids are given')
    .action((ids: string[], _flags: object, command: Command) => discardFailures(ids, command));
}

function withFilter(command: Command): Command {
  const time = (flags: string, description: string) => new Option(flags, description).argParser(parseSince);
  return command
    .option('--task <name>', 'only failures of this task')
    .option('--error <name>', 'only failures with an error of this name, such as TypeError')
    .addOption(time('--since <when>', 'only failures since then: a duration such as 2h (ago), or a date'))
    .addOption(time('--until <when>', 'only failures until then: a duration such as 2h (ago), or a date'))
    .option('--limit <n>', 'how many at most, the newest (ls: 100 by default)', wholeNumber)
    .option('--json', 'write JSON');
}

function withSelection(command: Command): Command {
  return withFilter(
    command.argument('[id...]', 'ids of failures; without ids, all failures that match the flags'),
  ).option('--all', 'all failures');
}

function filterOf({ task, error, since, until, limit }: FilterFlags): FailureFilter {
  return {
    ...(task !== undefined && { task }),
    ...(error !== undefined && { errorName: error }),
    ...(since && { since }),
    ...(until && { until }),
    ...(limit !== undefined && { limit }),
  };
}

/**
 * @throws InvalidOptionError unless exactly one way of selecting was used, so that nobody retries or discards everything by
 * mistake
 */
function selectionOf(ids: readonly string[], flags: SelectionFlags): readonly string[] | FailureFilter {
  const filter = filterOf(flags);
  const isFiltered = Object.keys(filter).length > 0;
  if (ids.length > 0 && (isFiltered || flags.all)) {
    throw new InvalidOptionError('id', 'give either ids or flags that select failures, not both');
  }
  if (ids.length === 0 && !isFiltered && !flags.all) {
    throw new InvalidOptionError(
      'id',
      'no failures were selected: give ids, --task, --error, --since, --until, --limit or --all',
    );
  }
  return ids.length > 0 ? ids : filter;
}

/** How many are listed unless a flag says otherwise. */
const LISTED = 100;

function groupFailures(command: Command): Promise<void> {
  return withDocket(command, async (docket) => {
    const { limit = LISTED, json, ...flags } = command.optsWithGlobals<FilterFlags>();
    const groups = await docket.failureGroups(filterOf(flags));
    if (json) return printJson(groups.slice(0, limit));
    const now = Date.now();
    const rows = groups.slice(0, limit).map(({ task, errorName, count, newestAt }) => {
      return [count, task ?? '', errorName ?? '', `${spanText(now - newestAt.getTime())} ago`];
    });
    printTable(['failures', 'task', 'error', 'newest'], rows, 'no failures');
    if (groups.length > limit) print(`${limit} of ${countText(groups.length, 'group')}`);
  });
}

function listFailures(command: Command): Promise<void> {
  return withDocket(command, async (docket) => {
    const flags = command.optsWithGlobals<FilterFlags>();
    const failures: Failure[] = [];
    for await (const failure of docket.failures({ limit: LISTED, ...filterOf(flags) })) failures.push(failure);
    if (flags.json) return printJson(failures);
    const now = Date.now();
    const rows = failures.map(({ id, failedAt, task, key, attempts, errorLine, priority }) => {
      return [
        id,
        `${spanText(now - failedAt.getTime())} ago`,
        taskText(task ?? '', priority),
        key ?? '',
        attempts,
        errorLine,
      ];
    });
    const { failures: kept } = (await docket.snapshot({ limit: 0 })).totals;
    printTable(
      ['id', 'failed', 'task', 'key', 'attempts', 'error'],
      rows,
      kept > 0 ? 'no failures match' : 'no failures',
    );
    if (kept > failures.length) print(`these are ${failures.length} of ${countText(kept, 'failure')}`);
    if (failures.length > 0) print('docket failures show ID shows the arguments and the stack of one');
  });
}

function showFailure(id: string, command: Command): Promise<void> {
  return withDocket(command, async (docket) => {
    const failure = await docket.failure(id);
    if (!failure)
      throw new CommandError(
        `there is no failure ${printable(id)}: it was retried, discarded, or is no longer kept`,
        EXIT.notFound,
      );
    const stack = stackOf(failure.error);
    const args = argumentsOf(failure);
    if (command.optsWithGlobals<CommonFlags>().json)
      return printJson({ ...(failure.toJSON() as object), stack, ...args });
    for (const [name, value] of linesOf(failure)) print(`${name.padEnd(10)} ${printable(value)}`);
    print('arguments');
    printBlock('args' in args ? inspect(args.args, SHOWN) : args.argsError);
    if (stack !== null) {
      print('stack');
      printBlock(stack);
    }
  });
}

/** How much of the arguments is shown. JSON has all of them. */
const SHOWN = { depth: 6, maxArrayLength: 50, maxStringLength: 1_000, breakLength: 100 } as const;
const SHOWN_CHARACTERS = 8_000;

function linesOf(failure: Failure): [name: string, value: string][] {
  const { kind, task, key, errorLine, attempts, deliveries, worker, thread, addedAt, startedAt, failedAt, priority } =
    failure;
  const now = Date.now();
  const time = (at: Date) => `${at.toISOString()}, ${spanText(now - at.getTime())} ago`;
  const lost =
    deliveries > 0 ? `; the last was delivered ${countText(deliveries, 'time')} without an outcome before` : '';
  return [
    ['failure', failure.id],
    ['kind', kind],
    ['task', task ?? 'unknown'],
    ['key', key ?? 'unknown'],
    ...(priority === 'normal' ? [] : [['priority', priority] as [string, string]]),
    ['error', errorLine],
    ['attempts', `${attempts}${lost}`],
    ...(worker === null
      ? []
      : [['worker', thread === null ? worker : `${worker}, thread ${thread}`] as [string, string]]),
    ...(addedAt ? [['added', time(addedAt)] as [string, string]] : []),
    ...(startedAt ? [['started', time(startedAt)] as [string, string]] : []),
    ['failed', time(failedAt)],
  ];
}

function argumentsOf(failure: Failure): { readonly args: unknown } | { readonly argsError: string } {
  try {
    return { args: failure.args() };
  } catch (error) {
    return { argsError: `(cannot be read: ${(error as Error).message})` };
  }
}

/** Returns the stack of an error with those of its causes; `null` when there is none. */
function stackOf(error: unknown): string | null {
  const stacks: string[] = [];
  for (let at = error; at instanceof Error && stacks.length < MAX_STACKS; at = at.cause)
    if (at.stack) stacks.push(at.stack);
  return stacks.length > 0 ? stacks.join('\ncaused by ') : null;
}

const MAX_STACKS = 8;

/** Prints text of several lines, indented. */
function printBlock(text: string): void {
  const shown = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  for (const line of shown.split('\n')) print(`  ${printable(line)}`);
}

function retryFailures(ids: readonly string[], command: Command): Promise<void> {
  const flags = command.optsWithGlobals<SelectionFlags>();
  const selection = selectionOf(ids, flags);
  return withDocket(command, async (docket) => {
    const report = await docket.retry(selection);
    if (flags.json) printJson(report);
    else {
      printReport(report);
      if (report.retried.length > 0) await printPauses(docket, flags.task);
    }
    return exitCodeOf(report);
  });
}

/** Says why what was added again does not start. Without a task it is not known whether a paused one is among them. */
async function printPauses(docket: Docket, task: string | undefined): Promise<void> {
  const pauses = (await docket.pauses()).filter((pause) => pause.task === null || (task ?? pause.task) === pause.task);
  const names = [...new Set(pauses.map((pause) => pause.task))];
  if (names.includes(null)) return print('the docket is paused: they start after docket resume');
  const named = names.slice(0, MAX_NAMED).join(', ') + (names.length > MAX_NAMED ? ', …' : '');
  if (names.length > 0) print(printable(`paused: ${named}; its executions start after docket resume ${names[0]}`));
}

const MAX_NAMED = 20;

function printReport({ retried, taken, struck, unusable, missing }: RetryReport): void {
  print(`retried ${retried.length}`);
  const stay = [
    ...taken.map(({ id, key }) => `${id} stays: another execution has its key ${key}`),
    ...struck.map(({ id, reason }) => `${id} stays: ${reason}`),
    ...unusable.map(({ id, reason }) => `${id} stays: ${reason}`),
    ...missing.map((id) => `there is no failure ${id}: it was retried, discarded, or is no longer kept`),
  ];
  for (const line of stay.slice(0, MAX_NAMED)) print(printable(line));
  if (stay.length > MAX_NAMED) print(`and ${stay.length - MAX_NAMED} more, see --json`);
}

function exitCodeOf({ taken, struck, unusable, missing }: RetryReport): number {
  if (taken.length + struck.length + unusable.length > 0) return EXIT.failed;
  return missing.length > 0 ? EXIT.notFound : EXIT.done;
}

function discardFailures(ids: readonly string[], command: Command): Promise<void> {
  const flags = command.optsWithGlobals<SelectionFlags>();
  const selection = selectionOf(ids, flags);
  return withDocket(command, async (docket) => {
    const where = describeDocket(internalsOf(docket).settings);
    const which = flags.all ? 'all failures' : 'the failures that match';
    await confirmUnless(ids.length > 0 || flags.yes === true, () => `Discard ${which} of ${where}?`);
    const discarded = await docket.discard(selection);
    if (flags.json) printJson({ discarded });
    else print(`discarded ${discarded}`);
    return discarded < ids.length ? EXIT.notFound : EXIT.done;
  });
}
