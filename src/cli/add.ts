/** `docket add`: adds one execution, and waits for its end when told to. */
import { inspect } from 'node:util';
import { Command } from 'commander';
import type { Docket } from '../client/docket.js';
import type { AnyTask, Task } from '../tasks/task.js';
import { EXIT } from './exit-codes.js';
import { CommandError } from './failure.js';
import { follow } from './follow.js';
import { unknownTask } from './live-tasks.js';
import { print, printable, printJson } from './output.js';
import { type CommonFlags, withDocket } from './session.js';
import { parseArguments, parseWhen } from './values.js';

export interface AddFlags extends CommonFlags {
  readonly key?: string;
  readonly when?: Date | number;
  readonly wait?: boolean;
  readonly force?: boolean;
}

export function addCommand(): Command {
  return withAddFlags(new Command('add'))
    .description('Adds an execution of a task.')
    .argument('<task>', 'name of the task; a live worker must have it')
    .argument('[json]', 'its arguments, one JSON object', parseArguments)
    .option('--force', 'add it although no live worker has the task')
    .action((task: string, args: object | undefined, flags: AddFlags, command: Command) =>
      withDocket(command, async (docket) => {
        if (!flags.force) await checkKnown(docket, task);
        return await addAndTell(docket, task, args ?? {}, flags);
      }),
    );
}

/** The flags of every command that adds. */
export function withAddFlags(command: Command): Command {
  return command
    .option('--key <key>', 'identity of the execution: while one has it, adding another changes nothing')
    .option('--when <when>', 'when it is due: a duration from now, or a date such as 2030-01-31T12:00:00Z', parseWhen)
    .option('--wait', 'follow it to its end, as watch does, and show its result')
    .option('--json', 'write JSON; with --wait one event per line, then the result');
}

/** Adds an execution, says what became of it, and answers with the exit code. */
export async function addAndTell(
  docket: Docket,
  task: AnyTask | string,
  args: object,
  flags: AddFlags,
): Promise<number> {
  const { key, when, wait = false, json = false } = flags;
  const options = { ...(key !== undefined && { key }), ...(when !== undefined && { when }) };
  const execution = await (docket as Docket<Untyped>).add(task as string, args, options);
  const { state, disposition, error } = execution;
  if (!wait || disposition === 'struck') {
    if (json) printJson({ key: execution.key, task: execution.task, state, disposition, when: execution.when, error });
    else
      print(
        `${printable(execution.key)}  ${WORDS[disposition](state)}${error === null ? '' : `: ${printable(error)}`}`,
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

/** What the command line names has no types. */
type Untyped = Record<string, Task<string, object, unknown>>;

const WORDS = {
  scheduled: (state: string) => state,
  already_scheduled: (state: string) => `there already, ${state}`,
  struck: () => 'not added',
};

async function checkKnown(docket: Docket, task: string): Promise<void> {
  const problem = await unknownTask(docket, task);
  if (problem !== null) throw new CommandError(`${problem}: correct the name, or add it with --force`, EXIT.unknown);
}
