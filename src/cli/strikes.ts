/** `docket strike`, `docket restore` and `docket strikes`: what is not to run. */
import { Command } from 'commander';
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { InvalidOptionError, RedisUnavailableError } from '../core/errors.js';
import { loadStrikes } from '../redis/strike-store.js';
import { describeStrike, type Strike, type StrikeOperator, strikeOf } from '../wire/strikes.js';
import { failureLine } from './failure.js';
import { groupCommand } from './group.js';
import { unknownTask } from './live-tasks.js';
import { print, printable, printJson, printTable } from './output.js';
import { type CommonFlags, withDocket } from './session.js';
import { parseStrikeValue } from './values.js';

export function strikeCommand(): Command {
  return changeCommand(
    'strike',
    'Keeps a task, a value of an argument in any task, or both together, from running.',
    async (docket, { strike, words }, isJson) => {
      const warning = strike.task === null ? null : await unknownTask(docket, strike.task);
      await docket.strike(...words);
      if (isJson) return printJson({ struck: fieldsOf(strike), warning });
      print(`struck ${printable(describeStrike(strike))}`);
      if (warning !== null) process.stderr.write(failureLine('docket', `${warning}: it is struck all the same`));
    },
  );
}

export function restoreCommand(): Command {
  return changeCommand(
    'restore',
    'Takes back the strike that was made with the same arguments, and names those of the task that remain.',
    async (docket, { strike, words }, isJson) => {
      const wasStruck = await docket.restore(...words);
      const remaining = (await listStrikes(docket)).filter(({ task }) => task === strike.task);
      if (isJson) {
        return printJson({ restored: wasStruck ? fieldsOf(strike) : null, remaining: remaining.map(fieldsOf) });
      }
      const what = describeStrike(strike);
      print(printable(wasStruck ? `restored ${what}` : `nothing to restore: ${what} was not struck`));
      for (const one of remaining.slice(0, MOST_NAMED)) print(printable(`still struck: ${describeStrike(one)}`));
      if (remaining.length > MOST_NAMED) print(`and ${remaining.length - MOST_NAMED} more, see docket strikes`);
    },
  );
}

const MOST_NAMED = 20;

/** What `Docket.strike` takes. */
type StrikeWords = Parameters<typeof strikeOf>;

interface Given {
  readonly strike: Strike;
  readonly words: StrikeWords;
}

function changeCommand(
  name: 'strike' | 'restore',
  description: string,
  change: (docket: Docket, given: Given, isJson: boolean) => Promise<void>,
): Command {
  return new Command(name)
    .description(description)
    .argument('[task]', `name of the task; ${ANY_TASK} for any`)
    .argument('[parameter]', 'name of an argument')
    .argument('[operator]', `one of ${OPERATORS.join(' ')} (default: ==)`)
    .argument('[value]', 'JSON, else text; [low, high] for between')
    .option('--json', 'write JSON')
    .addHelpText('after', EXAMPLES.replaceAll('docket strike', `docket ${name}`))
    .action((...given: [string?, string?, string?, string?, CommonFlags?, Command?]) => {
      const [task, parameter, operator, value, flags, command] = given;
      const words = parseStrikeWords(name, task, parameter, operator, value);
      const strike = strikeOf(...words);
      return withDocket(command!, (docket) => change(docket, { strike, words }, flags?.json ?? false));
    });
}

/** Reads a strike as it is written: without an operator between parameter and value, `==` is meant. */
function parseStrikeWords(
  command: string,
  task = ANY_TASK,
  parameter?: string,
  third?: string,
  fourth?: string,
): StrikeWords {
  if (task === ANY_TASK && parameter === undefined) {
    throw new InvalidOptionError('task', `expected a task, a parameter or both, see docket ${command} --help`);
  }
  const isValue = third !== undefined && fourth === undefined && !OPERATORS.includes(third);
  const [operator, text] = isValue ? ['==', third] : [third, fourth];
  const value = text === undefined ? undefined : parseStrikeValue(text);
  return [task === ANY_TASK ? null : task, parameter, operator as StrikeOperator | undefined, value];
}

export function strikesCommand(): Command {
  const list = new Command('ls')
    .description('Lists what is struck.')
    .action((_flags: object, command: Command) => showStrikes(command));
  return groupCommand('strikes', 'Lists what is struck.', [list], showStrikes).option('--json', 'write JSON');
}

function showStrikes(command: Command): Promise<void> {
  return withDocket(command, async (docket) => {
    const listed = (await listStrikes(docket)).map(fieldsOf);
    if (command.optsWithGlobals<CommonFlags>().json) return printJson(listed);
    const cells = listed.map(({ task, parameter, operator, value }) => [
      task ?? 'any',
      parameter ?? 'any',
      operator ?? '',
      value === undefined ? '' : JSON.stringify(value),
    ]);
    printTable(['task', 'parameter', 'operator', 'value'], cells, 'nothing is struck');
  });
}

async function listStrikes(docket: Docket): Promise<Strike[]> {
  const redis = await docket.redis;
  const { strikes } = await loadStrikes(redis, internalsOf(docket).settings.keys).catch((error: Error) => {
    throw new RedisUnavailableError(`the strikes could not be read: ${error.message}`, { cause: error });
  });
  return strikes.toSorted((a, b) => (a.field < b.field ? -1 : 1));
}

const OPERATORS: readonly string[] = ['==', '!=', '<', '<=', '>', '>=', 'between'] satisfies StrikeOperator[];

/** A `*` would be names of files to a shell that nobody has told otherwise. */
const ANY_TASK = '-';

const EXAMPLES = `
Examples:
  docket strike charge                                 the whole task
  docket strike - customerId c-1                       any task, by an argument: == is the default
  docket strike - rows '>' 1000                        quoted: < and > are the shell's own, and == is zsh's
  docket strike charge orderId between '[1000, 2000]'  both`;

interface StrikeFields {
  readonly task: string | null;
  readonly parameter?: string;
  readonly operator?: string;
  /** What JSON lacks is tagged: {"bigint":"12"}, {"date":0}, {"number":"Infinity"}. */
  readonly value?: unknown;
}

function fieldsOf({ field }: Strike): StrikeFields {
  const [task, ...test] = JSON.parse(field) as [string | null, string?, string?, unknown?];
  if (test.length === 0) return { task };
  const [parameter, operator, value] = test as [string, string, unknown];
  return { task, parameter, operator, value };
}
