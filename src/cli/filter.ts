/** The flags by which `docket ls` and `docket cancel` choose executions. */
import type { Command } from 'commander';
import { InvalidOptionError } from '../core/errors.js';
import type { ExecutionState } from '../core/states.js';
import type { StrikeValue } from '../wire/strikes.js';
import { parseStrikeValue } from './values.js';

export interface FilterFlags {
  readonly task?: string;
  readonly state?: readonly string[];
  readonly where?: Where;
}

type Where = Readonly<Record<string, StrikeValue>>;

/** What the library takes. States are checked there. */
export interface Filter {
  task?: string;
  state?: readonly ExecutionState[];
  where?: Where;
}

export function withFilterFlags(command: Command, states: string): Command {
  return command
    .option('--task <name>', 'only executions of this task')
    .option('--state <state>', `only in these states, separated by commas: ${states}`, parseStates)
    .option(
      '--where <arg=value>',
      'only with this value of an argument, as JSON or text; if given several times, all must match',
      addWhere,
    );
}

/** Returns what the flags say, as the library takes it. */
export function filterOf({ task, state, where }: FilterFlags): Filter {
  return {
    ...(task !== undefined && { task }),
    ...(state && { state: state as readonly ExecutionState[] }),
    ...(where && { where }),
  };
}

function parseStates(text: string): string[] {
  return text.split(',').map((state) => state.trim());
}

/** @throws InvalidOptionError for a text without a name and a value, or for a name that was given before */
function addWhere(text: string, before: Where = {}): Where {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidOptionError('--where', `expected ARG=VALUE, such as customerId=c-1, got '${text}'`);
  const name = text.slice(0, at);
  if (Object.hasOwn(before, name)) throw new InvalidOptionError('--where', `'${name}' was given twice`);
  return { ...before, [name]: parseStrikeValue(text.slice(at + 1)) as StrikeValue };
}
