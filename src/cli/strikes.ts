/** `docket strike`, `docket restore` and `docket strikes`: what is not to run. */
import { Command } from 'commander';
import { settingsOf } from '../client/docket.js';
import { RedisUnavailableError } from '../core/errors.js';
import { describeStrike, type StrikeOperand, type StrikeOperator, strikeOf } from '../core/strikes.js';
import { loadStrikes } from '../redis/strike-store.js';
import { groupCommand } from './group.js';
import { print, printable, printJson, printTable } from './output.js';
import { type CommonFlags, withDocket } from './session.js';
import { parseStrikeValue } from './values.js';

const WAYS = { strike: 'struck', restore: 'restored' } as const;

export function strikeCommand(): Command {
  return changeCommand('strike', 'Keeps a task, a value of an argument in any task, or both together, from running.');
}

export function restoreCommand(): Command {
  return changeCommand('restore', 'Takes back the strike that was made with the same arguments.');
}

function changeCommand(way: keyof typeof WAYS, description: string): Command {
  return new Command(way)
    .description(description)
    .argument('[task]', `name of the task; ${ANY_TASK} for any`)
    .argument('[parameter]', 'name of an argument')
    .argument('[operator]', 'one of == != < <= > >= between (default: ==)')
    .argument('[value]', 'JSON, else text; [low, high] for between', parseStrikeValue)
    .option('--json', 'write JSON')
    .addHelpText('after', EXAMPLES.replaceAll('strike ', `${way} `))
    .action((...given: [string?, string?, string?, StrikeOperand?, CommonFlags?, Command?]) => {
      const [task = ANY_TASK, parameter = null, operator = '==', value, flags, command] = given;
      const name = task === ANY_TASK ? null : task;
      const strike = strikeOf(name, parameter, operator as StrikeOperator, value);
      return withDocket(command!, async (docket) => {
        await docket[way](name, parameter, operator as StrikeOperator, value);
        if (flags?.json) printJson({ [WAYS[way]]: fieldsOf(strike.field) });
        else print(`${WAYS[way]} ${printable(describeStrike(strike))}`);
      });
    });
}

export function strikesCommand(): Command {
  const list = new Command('ls')
    .description('Lists what is struck.')
    .option('--json', 'write JSON')
    .action(({ json = false }: CommonFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const { strikes } = await loadStrikes(await docket.redis, settingsOf(docket).keys).catch((error: Error) => {
          throw new RedisUnavailableError(`the strikes could not be read: ${error.message}`, { cause: error });
        });
        const listed = strikes.map(({ field }) => fieldsOf(field));
        if (json) return printJson(listed);
        const cells = listed.map(({ task, parameter, operator, value }) => [
          task ?? 'any',
          parameter ?? 'any',
          operator ?? '',
          value === undefined ? '' : JSON.stringify(value),
        ]);
        printTable(['task', 'parameter', 'operator', 'value'], cells, 'nothing is struck');
      }),
    );
  return groupCommand('strikes', 'Lists what is struck.', [list], 'ls');
}

/** A `*` would be names of files to a shell that nobody has told otherwise. */
const ANY_TASK = '-';

const EXAMPLES = `
Examples:
  docket strike charge                                 the whole task
  docket strike - customerId == c-1                    any task, by an argument
  docket strike charge orderId between '[1000, 2000]'  both`;

interface StrikeFields {
  readonly task: string | null;
  readonly parameter?: string;
  readonly operator?: string;
  /** What JSON lacks is tagged: {"bigint":"12"}, {"date":0}, {"number":"Infinity"}. */
  readonly value?: unknown;
}

function fieldsOf(field: string): StrikeFields {
  const [task, ...test] = JSON.parse(field) as [string | null, string?, string?, unknown?];
  if (test.length === 0) return { task };
  const [parameter, operator, value] = test as [string, string, unknown];
  return { task, parameter, operator, value };
}
