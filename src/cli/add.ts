/** `docket add`: adds one execution, and waits for its end with `--wait`. */
import { inspect } from 'node:util';
import { Command } from 'commander';
import type { Docket } from '../client/docket.js';
import { checkPriority, type Priority } from '../core/priority.js';
import type { AnyTask, Task } from '../tasks/task.js';
import { EXIT } from './exit-codes.js';
import { CommandError } from './failure.js';
import { follow } from './follow.js';
import { unknownTask } from './live-tasks.js';
import { print, printable, printJson } from './output.js';
import { type ScheduleFlags, scheduleOf, withScheduleFlags } from './schedule-flags.js';
import { type CommonFlags, withDocket } from './session.js';
import { parseArguments, parseWhen } from './values.js';

export interface AddFlags extends CommonFlags, ScheduleFlags {
  readonly key?: string;
  readonly when?: Date | number;
  readonly wait?: boolean;
  readonly priority?: Priority;
  readonly force?: boolean;
}

export function addCommand(): Command {
  return withScheduleFlags(withAddFlags(new Command('add')))
    .description('Adds an execution of a task.')
    .argument('<task>', 'name of the task, which a live worker must have')
    .argument('[json]', 'arguments of the task: one JSON object', parseArguments)
    .option('--force', 'add it even if no live worker has the task')
    .action((task: string, args: object | undefined, flags: AddFlags, command: Command) =>
      withDocket(command, async (docket) => {
        scheduleOf(flags); // a flag that cannot be used is named before anything is asked
        if (!flags.force) await checkTask(docket, task);
        return await addAndReport(docket, task, args ?? {}, flags);
      }),
    );
}

/** Adds the flags of all commands that add an execution. */
export function withAddFlags(command: Command): Command {
  return command
    .option('--key <key>', 'key of the execution; while another one has it, nothing is added')
    .option('--when <when>', 'when it is due: a duration from now, or a date such as 2030-01-31T12:00:00Z', parseWhen)
    .option('--priority <priority>', 'high starts before others, low after them (default: normal)', parsePriority)
    .option('--wait', 'follow the execution to its end, as watch does, and show its result')
    .option('--json', 'write JSON; with --wait, one event per line and then the result');
}

function parsePriority(text: string): Priority {
  return checkPriority(text, '--priority');
}

/** Adds an execution, prints the result, and returns the exit code. */
export async function addAndReport(
  docket: Docket,
  task: AnyTask | string,
  args: object,
  flags: AddFlags,
): Promise<number> {
  const { key, when, priority, wait = false, json = false } = flags;
  const options = {
    ...(key !== undefined && { key }),
    ...(when !== undefined && { when }),
    ...(priority !== undefined && { priority }),
    ...scheduleOf(flags),
  };
  const execution = await (docket as Docket<Untyped>).add(task as string, args, options);
  const { state, disposition, error } = execution;
  if (!wait || disposition === 'struck') {
    if (json) printJson({ key: execution.key, task: execution.task, state, disposition, when: execution.when, error });
    else
      print(
        `${printable(execution.key)}  ${DISPOSITION_TEXT[disposition](state)}${error === null ? '' : `: ${printable(error)}`}`,
      );
    return disposition === 'struck' ? EXIT.cancelled : EXIT.done;
  }
  const code = await follow(docket, execution, json);
  if (code === EXIT.done) {
    const result = await execution.result();
    if (json) printJson({ type: 'result', key: execution.key, result: result ?? null });
    else if (result !== undefined) print(inspect(result, { depth: null, colors: false }));
  }
  return code;
}

/** On the command line, tasks are names and arguments are JSON: nothing is known of their types. */
type Untyped = Record<string, Task<string, object, unknown>>;

const DISPOSITION_TEXT = {
  scheduled: (state: string) => state,
  already_scheduled: (state: string) => `already exists: ${state}`,
  struck: () => 'not added',
};

/** @throws CommandError when no live worker has the task */
async function checkTask(docket: Docket, task: string): Promise<void> {
  const problem = await unknownTask(docket, task);
  if (problem !== null) throw new CommandError(`${problem}: correct the name, or add it with --force`, EXIT.notFound);
}
