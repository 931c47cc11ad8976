/** `docket strike`, `docket restore` and `docket strikes`: makes, takes back and lists strikes. */
import { Command } from 'commander';
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { InvalidOptionError } from '../core/errors.js';
import { type DatedStrike, listStrikes as readStrikes } from '../redis/strike-store.js';
import { describeStrike, type Strike, type StrikeOperator, strikeOf } from '../wire/strikes.js';
import { failureLine } from './failure.js';
import { groupCommand } from './group.js';
import { unknownTask } from './live-tasks.js';
import { print, printable, printJson, printTable, spanText } from './output.js';
import { type CommonFlags, withDocket } from './session.js';
import { parseStrikeValue } from './values.js';

export function strikeCommand(): Command {
  return changeCommand(
    'strike',
    'Keeps work from running: a task, a value of an argument in any task, or both together. Executions that were added before are cancelled; docket pause keeps them.',
    async (docket, { strike, terms }, isJson) => {
      const warning = strike.task === null ? null : await unknownTask(docket, strike.task);
      await docket.strike(...terms);
      if (isJson) return printJson({ struck: fieldsOf(strike), warning });
      print(`struck ${printable(describeStrike(strike))}`);
      print(
        'executions that were added before are cancelled when a worker reads them; docket restore does not bring them back',
      );
      if (warning !== null) process.stderr.write(failureLine('docket', `${warning}: it is struck anyway`));
    },
  );
}

export function restoreCommand(): Command {
  return changeCommand(
    'restore',
    'Takes back the strike that was made with the same arguments, and lists the remaining strikes of the task.',
    async (docket, { strike, terms }, isJson) => {
      const wasStruck = await docket.restore(...terms);
      const remaining = (await listStrikes(docket)).filter(({ task }) => task === strike.task);
      if (isJson) {
        return printJson({ restored: wasStruck ? fieldsOf(strike) : null, remaining: remaining.map(fieldsOf) });
      }
      const what = describeStrike(strike);
      print(printable(wasStruck ? `restored ${what}` : `nothing to restore: ${what} was not struck`));
      for (const one of remaining.slice(0, MAX_NAMED)) print(printable(`still struck: ${describeStrike(one)}`));
      if (remaining.length > MAX_NAMED) print(`and ${remaining.length - MAX_NAMED} more, see docket strikes`);
    },
  );
}

const MAX_NAMED = 20;

/** The parameters of `Docket.strike`. */
type StrikeTerms = Parameters<typeof strikeOf>;

/** A strike as it was given on the command line, checked. */
interface GivenStrike {
  readonly strike: Strike;
  readonly terms: StrikeTerms;
}

function changeCommand(
  name: 'strike' | 'restore',
  description: string,
  change: (docket: Docket, given: GivenStrike, isJson: boolean) => Promise<void>,
): Command {
  return new Command(name)
    .description(description)
    .argument('[task]', `name of the task; ${ANY_TASK} for any task`)
    .argument('[parameter]', 'name of an argument')
    .argument('[operator]', `one of ${OPERATORS.join(' ')} (default: ==)`)
    .argument('[value]', 'JSON, or else text; [low, high] for between')
    .option('--json', 'write JSON')
    .addHelpText('after', EXAMPLES.replaceAll('docket strike', `docket ${name}`))
    .action((...given: [string?, string?, string?, string?, CommonFlags?, Command?]) => {
      const [task, parameter, operator, value, flags, command] = given;
      const terms = parseStrikeTerms(name, [task, parameter, operator, value]);
      const strike = strikeOf(...terms);
      return withDocket(command!, (docket) => change(docket, { strike, terms }, flags?.json ?? false));
    });
}

/** Parses the arguments of a strike. The operator may be left out between parameter and value: it is `==` then. */
function parseStrikeTerms(
  command: string,
  [task = ANY_TASK, parameter, third, fourth]: readonly (string | undefined)[],
): StrikeTerms {
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
    .description('Lists the strikes.')
    .action((_flags: object, command: Command) => showStrikes(command));
  return groupCommand('strikes', 'Lists the strikes.', [list], showStrikes).option('--json', 'write JSON');
}

function showStrikes(command: Command): Promise<void> {
  return withDocket(command, async (docket) => {
    const listed = await datedStrikes(docket);
    if (command.optsWithGlobals<CommonFlags>().json) {
      return printJson(listed.map(({ strike, sinceMs }) => ({ ...fieldsOf(strike), since: new Date(sinceMs) })));
    }
    const now = Date.now();
    const cells = listed.map(({ strike, sinceMs }) => {
      const { task, parameter, operator, value } = fieldsOf(strike);
      const shown = value === undefined ? '' : JSON.stringify(value);
      return [task ?? 'any', parameter ?? 'any', operator ?? '', shown, `${spanText(now - sinceMs)} ago`];
    });
    printTable(['task', 'parameter', 'operator', 'value', 'since'], cells, 'nothing is struck');
  });
}

async function listStrikes(docket: Docket): Promise<Strike[]> {
  return (await datedStrikes(docket)).map(({ strike }) => strike);
}

async function datedStrikes(docket: Docket): Promise<DatedStrike[]> {
  const lists = await internalsOf(docket).partitions.everywhere((one) => one.run(readStrikes));
  const byField = new Map(lists.flat().map((dated) => [dated.strike.field, dated]));
  return [...byField.values()].sort((a, b) => (a.strike.field < b.strike.field ? -1 : 1));
}

const OPERATORS: readonly string[] = ['==', '!=', '<', '<=', '>', '>=', 'between'] satisfies StrikeOperator[];

/** Not `*`, which a shell would replace with the names of files. */
const ANY_TASK = '-';

const EXAMPLES = `
Examples:
  docket strike charge                                 the whole task
  docket strike - customerId c-1                       any task, by an argument: == is the default
  docket strike - rows '>' 1000                        quoted, because shells interpret < and >, and zsh also ==
  docket strike charge orderId between '[1000, 2000]'  a task, by an argument`;

interface StrikeFields {
  readonly task: string | null;
  readonly parameter?: string;
  readonly operator?: string;
  /** Values that JSON lacks are tagged: {"bigint":"12"}, {"date":0}, {"number":"Infinity"}. */
  readonly value?: unknown;
}

function fieldsOf({ field }: Strike): StrikeFields {
  const [task, ...test] = JSON.parse(field) as [string | null, string?, string?, unknown?];
  if (test.length === 0) return { task };
  const [parameter, operator, value] = test as [string, string, unknown];
  return { task, parameter, operator, value };
}
